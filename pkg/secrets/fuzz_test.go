package secrets_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// twin resolves the Secret of node-stage in another way than the package: it
// rewrites whole strings by regular expressions. An empty string stands for no
// Secret, false for an error.
func twin(parameters map[string]string, v secrets.Volume) (string, bool) {
	for _, prefix := range []string{"csi.storage.k8s.io/node-stage-", "csi.storage.k8s.io/"} {
		values := map[string][]string{}
		for _, part := range []string{"Name", "Namespace"} {
			for _, key := range []string{prefix + "secret-" + strings.ToLower(part), "csiNodeStageSecret" + part} {
				isDefault := prefix == "csi.storage.k8s.io/"
				if value, ok := parameters[key]; ok && (!isDefault || strings.HasPrefix(key, prefix)) {
					values[part] = append(values[part], value)
				}
			}
		}
		names, namespaces := values["Name"], values["Namespace"]
		if len(names)+len(namespaces) == 0 {
			continue
		}
		if len(names) != 1 || len(namespaces) != 1 || names[0] == "" || namespaces[0] == "" {
			return "", false
		}
		name, nameOK := twinExpand(names[0], v, `pv\.name|pvc\.name|pvc\.namespace|pvc\.annotations\['[^'}]+'\]`)
		namespace, namespaceOK := twinExpand(namespaces[0], v, `pv\.name|pvc\.namespace`)
		label := `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
		valid := nameOK && namespaceOK && len(name) <= 253 && len(namespace) <= 63 &&
			regexp.MustCompile(`\A`+label+`(\.`+label+`)*\z`).MatchString(name) &&
			regexp.MustCompile(`\A`+label+`\z`).MatchString(namespace)
		return namespace + "/" + name, valid
	}
	return "", true
}

func twinExpand(template string, v secrets.Volume, allowed string) (string, bool) {
	token := regexp.MustCompile(`\$\{(` + allowed + `)\}`)
	ok := !strings.Contains(token.ReplaceAllString(template, "-"), "$")
	expanded := token.ReplaceAllStringFunc(template, func(match string) string {
		value, found := "", true
		switch match {
		case "${pv.name}":
			value, found = v.PVName, v.PVName != ""
		case "${pvc.name}":
			value, found = v.ClaimName, v.ClaimName != ""
		case "${pvc.namespace}":
			value, found = v.ClaimNamespace, v.ClaimNamespace != ""
		default:
			value, found = v.ClaimAnnotations[strings.Split(match, "'")[1]]
			found = found && !v.AnnotationsUnknown
		}
		ok = ok && found
		return value
	})
	return expanded, ok
}

// FuzzResolve checks Resolve with its twin, and what must hold for any input: no
// panic, names that Kubernetes takes, messages of a bounded size, and annotations
// that are text and nothing else.
func FuzzResolve(f *testing.F) {
	const (
		both, alias, fallback, deleted = 3, 12, 48, 64
		annotation                     = "${pvc.annotations['a']}"
	)
	for _, seed := range []struct {
		present                byte
		name, namespace, value string
	}{
		{both, "name", "ns", ""},
		{0, "", "", ""},
		{1, "name", "ns", ""},
		{2, "name", "ns", ""},
		{alias, "${pvc.name}", "${pvc.namespace}", ""},
		{fallback, "${pv.name}", "${pv.name}-${pvc.namespace}", ""},
		{both | alias, "a", "b", ""},
		{both | fallback, "a", "", ""},
		{1 | 8, "a", "b", ""},
		{both, annotation, "ns", "value"},
		{both, annotation, "ns", "${pvc.namespace}"},
		{both, annotation + annotation, "ns", "../"},
		{both, "a" + annotation, "ns", ""},
		{both, "$" + annotation, "ns", "{pv.name}"},
		{both, annotation + "{pv.name}", "ns", "$"},
		{both, annotation, "${pvc.name}", strings.Repeat("a", 300)},
		{both, strings.Repeat("a", 250) + annotation, strings.Repeat("b", 63), "bcd"},
		{both | deleted, annotation, "ns", "value"},
		{both, "${pvc.annotations['b']}", "${pvc.annotations['a']}", "x"},
		{both, "${pvc.annotations['a", "${", "x"},
		{both, "${pvc.anotations['a']}", "$$", "x"},
		{both, "${pvc.annotations['']}${}", "${}", "x"},
		{both, "a.b.c", "a.b", "x"},
		{both, "\x00\xff$", "\n", "x"},
	} {
		f.Add(seed.present, seed.name, seed.namespace, seed.value, "a", "pvc-1", "team", "data")
	}
	f.Fuzz(func(t *testing.T, present byte, name, namespace, value, key, pv, claimNamespace, claim string) {
		parameters := map[string]string{}
		for bit, parameter := range []struct{ key, value string }{
			{stageName, name}, {stageNamespace, namespace}, {oldStageName, name}, {oldStageNS, namespace},
			{defaultName, name}, {defaultNamespace, namespace},
		} {
			if present&(1<<bit) != 0 {
				parameters[parameter.key] = parameter.value
			}
		}
		v := secrets.Volume{
			PVName: pv, ClaimNamespace: claimNamespace, ClaimName: claim,
			ClaimAnnotations: map[string]string{key: value}, AnnotationsUnknown: present&deleted != 0,
		}
		checkResolve(t, parameters, v)
		if ref, err := secrets.Resolve(secrets.NodeStage, parameters, v); err == nil && ref != nil &&
			strings.Contains(name, "${pvc.annotations['"+key+"']}") && !strings.Contains(ref.Name, value) {
			t.Errorf("annotation %q is not in %q as it is", value, ref.Name)
		}
	})
}

func checkResolve(t *testing.T, parameters map[string]string, v secrets.Volume) {
	t.Helper()
	ref, err := secrets.Resolve(secrets.NodeStage, parameters, v)
	want, ok := twin(parameters, v)
	got := ""
	if ref != nil {
		got = ref.String()
	}
	switch {
	case (err == nil) != ok:
		t.Fatalf("Resolve(%q, %+v) = %q, error %v; the twin says %q, %t", parameters, v, got, err, want, ok)
	case err == nil && got != want:
		t.Fatalf("Resolve(%q, %+v) = %q; the twin says %q", parameters, v, got, want)
	case err != nil && ref != nil:
		t.Errorf("got %v beside the error %v", ref, err)
	case err != nil:
		checkError(t, err)
	}
	if _, allErr := secrets.ResolveAll(parameters, v); err != nil && allErr == nil {
		t.Errorf("ResolveAll does not give the error %v", err)
	}
}
