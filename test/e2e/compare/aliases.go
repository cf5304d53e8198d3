package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// shortestUID is the number of digits from which a part of a UID is taken for it:
// volumes may be named by a part (--volume-name-uuid-length).
const shortestUID = 8

// Aliases are names for what is called differently on each side: identifiers that
// chance or the clock has chosen, and the names that keep the sides apart.
type Aliases struct {
	pairs map[string]string
}

// NewAliases knows the side's own id.
func NewAliases(id string) *Aliases { return &Aliases{pairs: map[string]string{id: "ID"}} }

// UID says whose a UID is. The same UID keeps its first name.
func (a *Aliases) UID(uid, whose string) {
	if _, known := a.pairs[uid]; known || uid == "" {
		return
	}
	a.pairs[uid] = "(" + whose + ")"
	digits := strings.ReplaceAll(uid, "-", "")
	for length := len(digits); length >= shortestUID; length-- {
		alias := fmt.Sprintf("(%s:%d)", whose, length)
		if _, taken := a.pairs[digits[:length]]; !taken {
			a.pairs[digits[:length]] = alias
		}
	}
}

// Add names anything else.
func (a *Aliases) Add(what, alias string) {
	if _, known := a.pairs[what]; !known && what != "" {
		a.pairs[what] = alias
	}
}

// Replace returns a tree of JSON with the aliases in keys and values, and without
// times.
func (a *Aliases) Replace(tree any) (any, error) {
	content, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("encoding a record: %w", err)
	}
	var replaced any
	replacer := a.replacer()
	// Twice, as an alias may hold a name that has one.
	text := withoutChance(replacer.Replace(replacer.Replace(string(content))))
	if err := json.Unmarshal([]byte(text), &replaced); err != nil {
		return nil, fmt.Errorf("decoding a record: %w", err)
	}
	return replaced, nil
}

// replacer tries long names first: a name may begin with another one.
func (a *Aliases) replacer() *strings.Replacer {
	var names []string
	for name := range a.pairs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(cmp.Compare(len(y), len(x)), cmp.Compare(x, y))
	})
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, name, a.pairs[name])
	}
	return strings.NewReplacer(pairs...)
}

// withoutChance replaces times, and the identity of an external-provisioner: when
// it was started, and a number.
func withoutChance(text string) string {
	text = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`).ReplaceAllString(text, `"(time)"`)
	return regexp.MustCompile(`\b\d{13}-\d{1,4}-`).ReplaceAllString(text, "(start)-(number)-")
}
