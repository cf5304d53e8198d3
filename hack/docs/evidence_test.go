package main

import (
	"maps"
	"strings"
	"testing"
)

func TestEvidence(t *testing.T) {
	files := map[string]string{
		"docs/compatibility.md": "| name | difference |\n|--|--|\n| exit-code | 1 |\n",
		"pkg/a_test.go":         "func TestOne(t *testing.T) {}\nfunc FuzzTwo(f *testing.F) {}\n",
		"pkg/a.go":              "func TestNone(t *testing.T) {}\n",
		"test/e2e/b_test.go":    "func BenchmarkThree(b *testing.B) {}\n",
		"cmd/x/main.go":         "",
		"hack/x/main.go":        "",
	}
	for name, test := range map[string]struct{ page, want string }{
		"all there":      {"# Title\n\n| no | fault | evidence |\n|--|--|--|\n| 1 | a `Word` | `TestOne`, `FuzzTwo` |\n| 2 | b | `BenchmarkThree`, `exit-code` |\n", ""},
		"no such test":   {"| 1 | a | `TestOne`, `TestOther` |\n", "docs/weaknesses.md:1: row 1 names TestOther"},
		"not in a test":  {"| 1 | a | `TestNone` |\n", "names TestNone"},
		"no such row":    {"| 1 | a | `exit` |\n", "names exit"},
		"nothing named":  {"| 1 | `TestOne` | none |\n", "names neither"},
		"a row too few":  {"| 1 | a | `TestOne` |\n| 3 | a | `TestOne` |\n", "docs/weaknesses.md:2: row 3 stands where row 2 should"},
		"no rows at all": {"# Title\n", "has no rows"},
	} {
		all := maps.Clone(files)
		all["docs/weaknesses.md"] = test.page
		var words []string
		for _, err := range checkEvidence(at(t, all), "docs/weaknesses.md") {
			words = append(words, err.Error())
		}
		got := strings.Join(words, "\n")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: errors %q, want %q", name, got, test.want)
		}
	}
	if errs := checkEvidence(at(t, files), "docs/weaknesses.md"); len(errs) != 1 {
		t.Errorf("a page that is missing is answered with %v", errs)
	}
}
