package names_test

import (
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

func TestNearest(t *testing.T) {
	tokens := []string{"pv.name", "pvc.name", "pvc.namespace", "pvc.annotations"}
	flags := []string{"v", "timeout", "kube-api-qps", "kube-api-burst", "worker-threads"}
	for name, test := range map[string]struct {
		word       string
		candidates []string
		want       string
	}{
		"the same":                       {"pvc.name", tokens, "pvc.name"},
		"a letter missing":               {"pvc.anotations", tokens, "pvc.annotations"},
		"a letter too many":              {"pvc.nname", tokens, "pvc.name"},
		"a wrong letter":                 {"pvc-name", tokens, "pvc.name"},
		"two letters swapped":            {"kube-api-qsp", flags, "kube-api-qps"},
		"first two letters swapped":      {"itmeout", flags, "timeout"},
		"a swap is one edit":             {"ba", []string{"ab"}, "ab"},
		"upper case":                     {"PVC.Namespace", tokens, "pvc.namespace"},
		"swapped in upper case":          {"TIMEUOT", flags, "timeout"},
		"nearest of several":             {"pv.namespace", tokens, "pvc.namespace"},
		"nearest is not the first":       {"pvc.names", tokens, "pvc.name"},
		"first of equals":                {"ac", []string{"aa", "ab"}, "aa"},
		"two edits in a short candidate": {"timot", flags, "timeout"},
		"three edits are too many":       {"tmot", flags, ""},
		"another word":                   {"pvc.uid", tokens, ""},
		"a short candidate is not near":  {"w", flags, ""},
		"one letter, exactly":            {"v", flags, "v"},
		"empty word":                     {"", []string{"", "a", "ab"}, ""},
		"no candidates":                  {"pv.name", nil, ""},
		"not ASCII":                      {"timeöut", flags, "timeout"},
		"very long":                      {strings.Repeat("pv.name", 1<<20), tokens, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, near := names.Nearest(test.word, test.candidates)
			if got != test.want || near != (test.want != "") {
				t.Errorf("Nearest(%.40q) = %q, %t; want %q", test.word, got, near, test.want)
			}
		})
	}
}
