package secrets

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// The tokens, as they are written; KEY stands for the key of an annotation.
const (
	pvName          = "${pv.name}"
	claimName       = "${pvc.name}"
	claimNamespace  = "${pvc.namespace}"
	claimAnnotation = "${pvc.annotations['KEY']}"

	annotationHead = "${pvc.annotations['"
	annotationTail = "']}"
)

// template is a parameter and its value.
type template struct {
	parameter, text string
}

// field is what a template is for: the name or the namespace of a Secret.
type field struct {
	word    string
	tokens  []string
	allowed string // the tokens, for a person
	check   func(string) []string
	form    string // what check demands, for a person
}

func nameField() field {
	return field{
		word:    "name",
		tokens:  []string{pvName, claimName, claimNamespace, claimAnnotation},
		allowed: "allowed are " + pvName + ", " + claimName + ", " + claimNamespace + " and " + claimAnnotation,
		check:   validation.IsDNS1123Subdomain,
		form: "it must be at most 253 characters of a-z, 0-9, '-' and '.', " +
			"with a letter or digit at both ends and beside each '.'",
	}
}

// namespaceField allows no token that a user chooses: who writes a claim must not
// choose the namespace that a Secret is taken from.
func namespaceField() field {
	return field{
		word:    "namespace",
		tokens:  []string{pvName, claimNamespace},
		allowed: "allowed are " + pvName + " and " + claimNamespace,
		check:   validation.IsDNS1123Label,
		form:    "it must be at most 63 characters of a-z, 0-9 and '-', with a letter or digit at both ends",
	}
}

// resolve replaces the tokens and checks the result.
func (t template) resolve(f field, v Volume) (string, error) {
	resolved, err := t.expand(f, v)
	if err != nil {
		return "", err
	}
	if len(f.check(resolved)) == 0 {
		return resolved, nil
	}
	reason := "not a valid " + f.word + " for a Secret"
	if resolved != t.text {
		reason = "resolves to " + quote(resolved) + ", " + reason
	}
	return "", &Error{Parameter: t.parameter, Template: t.text, Resolved: resolved, Reason: reason, Fix: f.form}
}

// expand goes over the template once, from left to right, so that nothing that a
// token stands for is looked at again. The result is cut where it is too long for
// any name, so that big annotations in a long template do not fill the memory.
func (t template) expand(f field, v Volume) (string, error) {
	const enough = validation.DNS1123SubdomainMaxLength + 1
	var resolved []byte
	add := func(s string) {
		resolved = append(resolved, s[:min(len(s), enough-len(resolved))]...)
	}
	for rest := t.text; ; {
		dollar := strings.IndexByte(rest, '$')
		if dollar < 0 {
			add(rest)
			return string(resolved), nil
		}
		add(rest[:dollar])
		rest = rest[dollar:]
		end := strings.IndexByte(rest, '}') + 1
		if end == 0 || !strings.HasPrefix(rest, "${") {
			return "", t.wrongToken("malformed token", rest, f)
		}
		value, err := t.value(rest[:end], f, v)
		if err != nil {
			return "", err
		}
		add(value)
		rest = rest[end:]
	}
}

// value is what a token, from "${" to "}", stands for.
func (t template) value(token string, f field, v Volume) (string, error) {
	form := formOf(token)
	if !slices.Contains(nameField().tokens, form) {
		return "", t.wrongToken("unknown token", token, f)
	}
	if !slices.Contains(f.tokens, form) {
		return "", t.problem(token, " may not be used for a "+f.word, f.allowed)
	}
	switch form {
	case pvName:
		return t.known(token, v.PVName, "volume has no name")
	case claimName:
		return t.known(token, v.ClaimName, "volume has no claim")
	case claimNamespace:
		return t.known(token, v.ClaimNamespace, "volume has no claim")
	}
	if v.AnnotationsUnknown {
		return "", t.problem(token, ": the annotations of a claim are not known any more when its volume is deleted",
			"set the annotations "+names.DeletionSecretName+" and "+names.DeletionSecretNamespace+" on the PersistentVolume")
	}
	value, found := v.ClaimAnnotations[annotationKey(token)]
	if !found {
		return "", t.problem(token, ": the claim has no such annotation",
			"add it to claim "+quote(v.ClaimNamespace+"/"+v.ClaimName))
	}
	return value, nil
}

// known is the value, unless there is none.
func (t template) known(token, value, otherwise string) (string, error) {
	if value == "" {
		return "", t.problem(token, " has no value: the "+otherwise, "write the Secret's name and namespace without it")
	}
	return value, nil
}

func (t template) problem(token, reason, fix string) *Error {
	return &Error{
		Parameter: t.parameter,
		Template:  t.text,
		Token:     token,
		Reason:    "token " + quote(token) + reason,
		Fix:       fix,
	}
}

func (t template) wrongToken(problem, token string, f field) *Error {
	reason := problem + " " + quote(token)
	if meant := nearest(token, f); meant != "" {
		reason += " (did you mean " + quote(meant) + "?)"
	}
	return &Error{Parameter: t.parameter, Template: t.text, Token: token, Reason: reason, Fix: f.allowed}
}

// formOf is the token as it stands in the lists of a field.
func formOf(token string) string {
	if annotationKey(token) != "" {
		return claimAnnotation
	}
	return token
}

// annotationKey returns KEY of a token ${pvc.annotations['KEY']}; empty if it is
// no such token.
func annotationKey(token string) string {
	key, isHead := strings.CutPrefix(token, annotationHead)
	key, isTail := strings.CutSuffix(key, annotationTail)
	if !isHead || !isTail || strings.ContainsRune(key, '\'') {
		return ""
	}
	return key
}

// nearest is the token that was probably meant; empty if there is none, or if it
// is not allowed in the field.
func nearest(token string, f field) string {
	const annotations = "pvc.annotations"
	word, index, _ := strings.Cut(strings.Trim(token, "${}"), "[")
	word, near := names.Nearest(word, []string{"pv.name", "pvc.name", "pvc.namespace", annotations})
	if !near {
		return ""
	}
	meant := "${" + word + "}"
	if word == annotations {
		meant = annotationHead + cmp.Or(strings.Trim(index, `'"]`), "KEY") + annotationTail
	}
	if !slices.Contains(f.tokens, formOf(meant)) {
		return ""
	}
	return meant
}
