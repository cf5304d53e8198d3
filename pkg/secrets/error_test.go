package secrets_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	// The ends of messages.
	nameTokens = `: allowed are ${pv.name}, ${pvc.name}, ${pvc.namespace} and ${pvc.annotations['KEY']}`
	nsTokens   = `: allowed are ${pv.name} and ${pvc.namespace}`
	nameForm   = `: it must be at most 253 characters of a-z, 0-9, '-' and '.', with a letter or digit at both ends and beside each '.'`
	nsForm     = `: it must be at most 63 characters of a-z, 0-9 and '-', with a letter or digit at both ends`
)

func TestPairErrors(t *testing.T) {
	type parameters = map[string]string
	for name, test := range map[string]struct {
		parameters parameters
		want       string // what follows `StorageClass parameter `
	}{
		"name alone":                 {parameters{stageName: "a"}, `"` + stageName + `": given without "` + stageNamespace + `"`},
		"namespace alone":            {parameters{stageNamespace: "a"}, `"` + stageNamespace + `": given without "` + stageName + `"`},
		"deprecated name alone":      {parameters{oldStageName: "a"}, `"` + oldStageName + `": given without "` + stageNamespace + `"`},
		"deprecated namespace alone": {parameters{oldStageNS: "a"}, `"` + oldStageNS + `": given without "` + stageName + `"`},
		"empty name alone":           {parameters{stageName: ""}, `"` + stageName + `": given without "` + stageNamespace + `"`},
		"alone, default does not help": {
			parameters{stageName: "a", defaultName: "d", defaultNamespace: "ns"},
			`"` + stageName + `": given without "` + stageNamespace + `"`,
		},
		"default name alone":      {parameters{defaultName: "a"}, `"` + defaultName + `": given without "` + defaultNamespace + `"`},
		"default namespace alone": {parameters{defaultNamespace: "a"}, `"` + defaultNamespace + `": given without "` + defaultName + `"`},
		"empty name":              {parameters{stageName: "", stageNamespace: "ns"}, `"` + stageName + `": its value is empty`},
		"empty namespace":         {parameters{stageName: "a", stageNamespace: ""}, `"` + stageNamespace + `": its value is empty`},
		"empty deprecated name":   {parameters{oldStageName: "", stageNamespace: "ns"}, `"` + oldStageName + `": its value is empty`},
		"both empty":              {parameters{stageName: "", stageNamespace: ""}, `"` + stageName + `": its value is empty`},
		"empty default":           {parameters{defaultName: "a", defaultNamespace: ""}, `"` + defaultNamespace + `": its value is empty`},
		"name twice": {
			parameters{stageName: "a", oldStageName: "a", stageNamespace: "ns"},
			`"` + stageName + `": its deprecated alias "` + oldStageName + `" is given, too: remove one of the two`,
		},
		"namespace twice": {
			parameters{stageName: "a", oldStageNS: "ns", stageNamespace: "ns"},
			`"` + stageNamespace + `": its deprecated alias "` + oldStageNS + `" is given, too: remove one of the two`,
		},
		"twice, alone": {
			parameters{stageNamespace: "a", oldStageNS: "a"},
			`"` + stageNamespace + `": its deprecated alias "` + oldStageNS + `" is given, too: remove one of the two`,
		},
		"twice, one empty": {
			parameters{stageName: "", oldStageName: "a"},
			`"` + stageName + `": its deprecated alias "` + oldStageName + `" is given, too: remove one of the two`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ref, err := secrets.Resolve(secrets.NodeStage, test.parameters, volume())
			if ref != nil || err == nil {
				t.Fatalf("got %v, %v; want an error", ref, err)
			}
			if want := "StorageClass parameter " + test.want; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got  %s\nwant %s…", err, want)
			}
		})
	}
}

func TestTemplateErrors(t *testing.T) {
	for name, test := range map[string]struct {
		template string
		name     string // what follows the template in the message where it is one of a name
		ns       string // the same for a namespace
	}{
		"misspelt annotations": {
			"${pvc.anotations['x']}",
			`: unknown token "${pvc.anotations['x']}" (did you mean "${pvc.annotations['x']}"?)` + nameTokens,
			`: unknown token "${pvc.anotations['x']}"` + nsTokens,
		},
		"misspelt": {
			"a-${pvc.nmespace}-b",
			`: unknown token "${pvc.nmespace}" (did you mean "${pvc.namespace}"?)` + nameTokens,
			`: unknown token "${pvc.nmespace}" (did you mean "${pvc.namespace}"?)` + nsTokens,
		},
		"no hint at what is not allowed": {
			"${pvc.nam}",
			`: unknown token "${pvc.nam}" (did you mean "${pvc.name}"?)` + nameTokens, `: unknown token "${pvc.nam}"` + nsTokens,
		},
		"far from any":       {"${secret}", `: unknown token "${secret}"` + nameTokens, `: unknown token "${secret}"` + nsTokens},
		"no token":           {"a${}b", `: unknown token "${}"` + nameTokens, `: unknown token "${}"` + nsTokens},
		"annotation, quotes": {`${pvc.annotations[x]}`, `: unknown token "${pvc.annotations[x]}" (did you mean "${pvc.annotations['x']}"?)` + nameTokens, `: unknown token`},
		"annotation, no key": {`${pvc.annotations['']}`, `: unknown token "${pvc.annotations['']}" (did you mean "${pvc.annotations['KEY']}"?)` + nameTokens, `: unknown token`},
		"annotations":        {`${pvc.annotations}`, `: unknown token "${pvc.annotations}" (did you mean "${pvc.annotations['KEY']}"?)` + nameTokens, `: unknown token`},
		"quote in a key":     {`${pvc.annotations['a'b']}`, `: unknown token "${pvc.annotations['a'b']}"` + nameTokens, `: unknown token`},
		"token in a key": {
			`${pvc.annotations['${pvc.name}']}`, `: unknown token "${pvc.annotations['${pvc.name}" (did you`, `: unknown token`,
		},
		"token in a token": {"${${pv.name}}", `: unknown token "${${pv.name}"`, `: unknown token "${${pv.name}"`},
		"upper case":       {"${PV.name}", `: unknown token "${PV.name}" (did you mean "${pv.name}"?)`, `: unknown token "${PV.name}" (did you mean "${pv.name}"?)`},
		"not closed": {
			"${pv.name", `: malformed token "${pv.name" (did you mean "${pv.name}"?)` + nameTokens,
			`: malformed token "${pv.name" (did you mean "${pv.name}"?)` + nsTokens,
		},
		"no braces": {
			"$pv.name", `: malformed token "$pv.name" (did you mean "${pv.name}"?)` + nameTokens,
			`: malformed token "$pv.name" (did you mean "${pv.name}"?)` + nsTokens,
		},
		"brace elsewhere": {"$x{pv.name}", `: malformed token "$x{pv.name}" (did you`, `: malformed token "$x{pv.name}" (did you`},
		"two dollars":     {"a$$b", `: malformed token "$$b"`, `: malformed token "$$b"`},
		"dollar at end":   {"a$", `: malformed token "$"`, `: malformed token "$"`},
		"claim name in a namespace": {
			"${pvc.name}-X", `: resolves to "data-X", not a valid name for a Secret` + nameForm,
			`: token "${pvc.name}" may not be used for a namespace` + nsTokens,
		},
		"annotation in a namespace": {
			"${pvc.annotations['example.com/upper']}", `: resolves to "Data", not a valid name for a Secret` + nameForm,
			`: token "${pvc.annotations['example.com/upper']}" may not be used for a namespace` + nsTokens,
		},
		"no such annotation": {
			"${pvc.annotations['x']}", `: token "${pvc.annotations['x']}": the claim has no such annotation: add it to claim "team-a/data"`,
			`: token "${pvc.annotations['x']}" may not be used`,
		},
		"empty annotation": {"${pvc.annotations['example.com/empty']}", `: resolves to "", not a valid name for a Secret` + nameForm, `: token`},
		"token in an annotation": {
			"${pvc.annotations['example.com/token']}", `: resolves to "${pvc.namespace}", not a valid name for a Secret` + nameForm, `: token`,
		},
		"path in an annotation": {
			"${pvc.annotations['example.com/path']}", `: resolves to "../etc", not a valid name for a Secret` + nameForm, `: token`,
		},
		"token made of two": {
			"${pvc.annotations['example.com/token']}${pvc.name}", `: resolves to "${pvc.namespace}data", not a valid name for a Secret`, `: token`,
		},
		"big annotation": {
			"${pvc.annotations['example.com/big']}", `: resolves to "` + strings.Repeat("a", 128) + `"…, not a valid name for a Secret` + nameForm, `: token`,
		},
		"invalid":       {"A_b", `: not a valid name for a Secret` + nameForm, `: not a valid namespace for a Secret` + nsForm},
		"resolves to":   {"${pv.name}-", `: resolves to "pvc-1234-", not a valid name for`, `: resolves to "pvc-1234-", not a valid namespace for`},
		"newline":       {"a\nb", `: not a valid name for a Secret`, `: not a valid namespace for a Secret`},
		"space":         {" ", `: not a valid name for a Secret`, `: not a valid namespace for a Secret`},
		"slash":         {"a/b", `: not a valid name for a Secret`, `: not a valid namespace for a Secret`},
		"254 long":      {strings.Repeat("a", 254), `…: not a valid name for a Secret`, `…: not a valid namespace for a Secret`},
		"not ASCII":     {"schlüssel", `: not a valid name for a Secret`, `: not a valid namespace for a Secret`},
		"closing brace": {"a}", `: not a valid name for a Secret`, `: not a valid namespace for a Secret`},
	} {
		t.Run(name, func(t *testing.T) {
			for parameter, want := range map[string]string{expandName: test.name, expandNamespace: test.ns} {
				parameters := map[string]string{expandName: "name", expandNamespace: "ns"}
				parameters[parameter] = test.template
				_, err := secrets.Resolve(secrets.NodeExpand, parameters, volume())
				failure := checkError(t, err)
				if failure.Parameter != parameter || failure.Template != test.template {
					t.Errorf("error is about parameter %q, template %.100q", failure.Parameter, failure.Template)
				}
				_, message, _ := strings.Cut(err.Error(), ": template ")
				if !strings.Contains(message, want) {
					t.Errorf("\ngot  %s\nwant %s", message, want)
				}
			}
		})
	}
}

// checkError checks what holds for each error of this package.
func checkError(t *testing.T, err error) *secrets.Error {
	t.Helper()
	var failure *secrets.Error
	if !errors.As(err, &failure) {
		t.Fatalf("error %v is not a *secrets.Error", err)
	}
	message := failure.Error()
	if len(message) > 1024 || !utf8.ValidString(message) || strings.ContainsAny(message, "\n\x00\x1b") {
		t.Errorf("message of %d bytes is not fit to be printed: %.2000q", len(message), message)
	}
	if failure.Parameter == "" || failure.Reason == "" || failure.Fix == "" {
		t.Errorf("error is not complete: %+v", *failure)
	}
	if !strings.Contains(failure.Template, failure.Token) {
		t.Errorf("token %.100q is no part of the template %.100q", failure.Token, failure.Template)
	}
	return failure
}

func TestNamespaceIsResolvedFirst(t *testing.T) {
	_, err := secrets.Resolve(secrets.NodeExpand, map[string]string{expandName: "${no}", expandNamespace: "${no}"}, volume())
	if got := checkError(t, err).Parameter; got != expandNamespace {
		t.Errorf("error is about %q, want %q", got, expandNamespace)
	}
}

func TestValuesThatAreNotKnown(t *testing.T) {
	deleted := secrets.Volume{PVName: "pvc-1", ClaimNamespace: "ns", ClaimName: "data", AnnotationsUnknown: true}
	const annotation = "${pvc.annotations['a']}"
	for name, test := range map[string]struct {
		volume   secrets.Volume
		template string
		want     secrets.Error
	}{
		"annotation at deletion": {deleted, annotation, secrets.Error{
			Token: annotation,
			Reason: `token "${pvc.annotations['a']}": ` +
				`the annotations of a claim are not known any more when its volume is deleted`,
			Fix: "set the annotations volume.kubernetes.io/provisioner-deletion-secret-name and " +
				"volume.kubernetes.io/provisioner-deletion-secret-namespace on the PersistentVolume",
		}},
		"claim name without a claim": {secrets.Volume{PVName: "pv"}, "a${pvc.name}", secrets.Error{
			Token:  "${pvc.name}",
			Reason: `token "${pvc.name}" has no value: the volume has no claim`,
			Fix:    "write the Secret's name and namespace without it",
		}},
		"claim namespace without a claim": {secrets.Volume{PVName: "pv"}, "a${pvc.namespace}", secrets.Error{
			Token:  "${pvc.namespace}",
			Reason: `token "${pvc.namespace}" has no value: the volume has no claim`,
			Fix:    "write the Secret's name and namespace without it",
		}},
		"volume name": {secrets.Volume{}, "a${pv.name}", secrets.Error{
			Token:  "${pv.name}",
			Reason: `token "${pv.name}" has no value: the volume has no name`,
			Fix:    "write the Secret's name and namespace without it",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			parameters := map[string]string{defaultName: test.template, defaultNamespace: "ns"}
			_, err := secrets.Resolve(secrets.Provisioner, parameters, test.volume)
			test.want.Parameter, test.want.Template = defaultName, test.template
			if diff := cmp.Diff(&test.want, checkError(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("the rest is known at deletion", func(t *testing.T) {
		parameters := map[string]string{defaultName: "${pvc.name}.${pv.name}", defaultNamespace: "${pvc.namespace}"}
		ref, err := secrets.Resolve(secrets.Provisioner, parameters, deleted)
		if diff := cmp.Diff(&secrets.Ref{Namespace: "ns", Name: "data.pvc-1"}, ref); diff != "" || err != nil {
			t.Errorf("error %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestHostileValues(t *testing.T) {
	hostile := map[string]string{
		"zeros":      strings.Repeat("\x00", 256<<10),
		"not UTF-8":  strings.Repeat("\xff\xe2\x82", 80<<10),
		"wide":       strings.Repeat("\U000e0001", 64<<10),
		"printable":  strings.Repeat("世", 80<<10),
		"terminal":   strings.Repeat("\x1b[2J\n", 50<<10),
		"dollars":    strings.Repeat("$", 256<<10),
		"open":       strings.Repeat("${", 128<<10),
		"long token": "${" + strings.Repeat("pv.name", 30<<10) + "}",
		"long key":   "${pvc.anotations['" + strings.Repeat("k", 200<<10) + "']}",
		"many":       strings.Repeat("${pvc.annotations['big']}", 10<<10),
	}
	for name, value := range hostile {
		t.Run(name, func(t *testing.T) {
			v := secrets.Volume{
				PVName: value, ClaimNamespace: value, ClaimName: value,
				ClaimAnnotations: map[string]string{"x": value, "big": strings.Repeat("b", 256<<10)},
			}
			for _, template := range []string{
				value, "a" + value, "${pv.name}", "${pvc.name}", "${pvc.namespace}",
				"${pvc.annotations['x']}", "${pvc.annotations['" + value + "']}", "${pvc.annotations['no']}",
			} {
				_, err := secrets.Resolve(secrets.NodeExpand, map[string]string{expandName: template, expandNamespace: "ns"}, v)
				if failure := checkError(t, err); len(failure.Resolved) > 254 {
					t.Errorf("resolved %d bytes", len(failure.Resolved))
				}
			}
		})
	}
}

// A template full of big annotations (25 MiB when written out) is cut short.
func TestExpansionIsBounded(t *testing.T) {
	v := volume()
	parameters := map[string]string{
		expandName: strings.Repeat("${pvc.annotations['example.com/big']}", 100), expandNamespace: "ns",
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := secrets.Resolve(secrets.NodeExpand, parameters, v)
	runtime.ReadMemStats(&after)
	checkError(t, err)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("%d bytes allocated", allocated)
	}
}
