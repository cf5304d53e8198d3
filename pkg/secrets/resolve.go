package secrets

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Ref refers to a Secret. Both fields are valid names for Kubernetes.
type Ref struct {
	Namespace, Name string
}

// String is "namespace/name".
func (r Ref) String() string {
	return r.Namespace + "/" + r.Name
}

// Equal tells whether both refer to the same Secret, or to none.
func (r *Ref) Equal(other *Ref) bool {
	if r == nil || other == nil {
		return r == other
	}
	return *r == *other
}

// CoreV1 is the reference as a PersistentVolume holds it; nil for nil.
func (r *Ref) CoreV1() *corev1.SecretReference {
	if r == nil {
		return nil
	}
	return &corev1.SecretReference{Namespace: r.Namespace, Name: r.Name}
}

// Refs are the Secrets of a volume. A role without one is not in the map, so that
// refs[role].CoreV1() is nil for it.
type Refs map[Role]*Ref

// Volume is what a template may refer to.
type Volume struct {
	// PVName is the name of the PersistentVolume.
	PVName string
	// ClaimNamespace and ClaimName are empty where there is no claim.
	ClaimNamespace, ClaimName string
	ClaimAnnotations          map[string]string
	// AnnotationsUnknown is set where the claim itself is not at hand, only its
	// name: when a volume is deleted. It tells "unknown" from "has none".
	AnnotationsUnknown bool
}

// Resolve returns the Secret that a class with these parameters names for the
// role, or nil if it names none: neither for the role nor, by default, for all.
// The parameters of a role, under their current or their deprecated names, win
// over the default ones, which then are not even looked at. Name and namespace go
// together and may not be empty.
//
// The tokens of a template are ${pv.name} and ${pvc.namespace}, and in the
// template of a name ${pvc.name} and ${pvc.annotations['KEY']}, too. They are
// replaced once: what comes from an annotation is never a template itself. A
// namespace must become a DNS-1123 label, a name a DNS-1123 subdomain.
//
// It is stricter than external-provisioner in two cases, which both come from a
// slip of the pen: a "$" that begins none of these tokens is always an error,
// where the other drops "${}" and the "${" of an unclosed token without a word;
// and a token for which there is no value (no claim) is not replaced by nothing.
//
// The error is an [*Error], but for a role that is none of [Roles].
func Resolve(role Role, parameters map[string]string, v Volume) (*Ref, error) {
	if role < firstRole || role > lastRole {
		return nil, fmt.Errorf("unknown secret role %d", role)
	}
	for _, r := range []Role{role, fallback} {
		l, _ := lineOf(r)
		pair, found, err := l.read(parameters)
		if err != nil {
			return nil, err
		}
		if found {
			return pair.resolve(v)
		}
	}
	return nil, nil
}

// ResolveAll resolves every role. Its error joins one [*Error] for each parameter
// that is wrong, in the order of [Roles]; [errors.As] finds the first.
func ResolveAll(parameters map[string]string, v Volume) (Refs, error) {
	refs := Refs{}
	var errs []error
	for role := firstRole; role <= lastRole; role++ {
		ref, err := Resolve(role, parameters, v)
		switch {
		case err != nil:
			errs = append(errs, err)
		case ref != nil:
			refs[role] = ref
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(distinct(errs)...)
	}
	return refs, nil
}

// distinct drops repetitions: what is wrong with the default parameters is wrong
// for every role that falls back on them.
func distinct(errs []error) []error {
	var kept []error
	for _, err := range errs {
		if !slices.ContainsFunc(kept, func(k error) bool { return k.Error() == err.Error() }) {
			kept = append(kept, err)
		}
	}
	return kept
}

// pair is the two templates that name a Secret together.
type pair struct {
	name, namespace template
}

// resolve looks at the namespace first, as external-provisioner does.
func (p pair) resolve(v Volume) (*Ref, error) {
	namespace, err := p.namespace.resolve(namespaceField(), v)
	if err != nil {
		return nil, err
	}
	name, err := p.name.resolve(nameField(), v)
	if err != nil {
		return nil, err
	}
	return &Ref{Namespace: namespace, Name: name}, nil
}

// read takes the templates of the role from the parameters; false if it has none.
func (l line) read(parameters map[string]string) (pair, bool, error) {
	name, hasName, err := l.name.read(parameters)
	if err != nil {
		return pair{}, false, err
	}
	namespace, hasNamespace, err := l.namespace.read(parameters)
	switch {
	case err != nil:
		return pair{}, false, err
	case !hasName && !hasNamespace:
		return pair{}, false, nil
	case !hasNamespace:
		return pair{}, false, alone(name, l.namespace)
	case !hasName:
		return pair{}, false, alone(namespace, l.name)
	case name.text == "":
		return pair{}, false, empty(name)
	case namespace.text == "":
		return pair{}, false, empty(namespace)
	}
	return pair{name: name, namespace: namespace}, true, nil
}

// read takes one template from the parameters; false if it is not there.
func (k key) read(parameters map[string]string) (template, bool, error) {
	text, found := parameters[k.current]
	if k.deprecated == "" {
		return template{k.current, text}, found, nil
	}
	old, foundOld := parameters[k.deprecated]
	switch {
	case found && foundOld:
		return template{}, false, &Error{
			Parameter: k.current,
			Reason:    "its deprecated alias " + quote(k.deprecated) + " is given, too",
			Fix:       "remove one of the two",
		}
	case foundOld:
		return template{k.deprecated, old}, true, nil
	}
	return template{k.current, text}, found, nil
}

func alone(t template, missing key) *Error {
	return &Error{
		Parameter: t.parameter,
		Reason:    "given without " + quote(missing.current),
		Fix:       "a Secret is named by both, give the other or remove this one",
	}
}

func empty(t template) *Error {
	return &Error{
		Parameter: t.parameter,
		Reason:    "its value is empty",
		Fix:       "give it a value, or remove the parameters for both name and namespace",
	}
}
