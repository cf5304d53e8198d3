package options_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// TestCapacityNeedsItsEnvironment: what only the pod can know must be given, but
// only where capacity is published.
func TestCapacityNeedsItsEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		args      []string
		variables map[string]string
		want      []string // parts of the error; nil for none
	}{
		"off":               {nil, nil, nil},
		"nothing":           {[]string{"--enable-capacity"}, nil, []string{"NAMESPACE is not set", "metadata.namespace", "POD_NAME is not set", "metadata.name of the pod, or the level to -1"}},
		"no pod":            {[]string{"--enable-capacity"}, map[string]string{"NAMESPACE": "ns"}, []string{"POD_NAME is not set", "--capacity-ownerref-level=1"}},
		"no owner, no pod":  {[]string{"--enable-capacity", "--capacity-ownerref-level=-1"}, map[string]string{"NAMESPACE": "ns"}, nil},
		"the pod as owner":  {[]string{"--enable-capacity", "--capacity-ownerref-level=0"}, map[string]string{"NAMESPACE": "ns"}, []string{"--capacity-ownerref-level=0"}},
		"everything":        {[]string{"--enable-capacity"}, map[string]string{"NAMESPACE": "ns", "POD_NAME": "pod"}, nil},
		"without its part":  {[]string{"--enable-capacity", "--controllers=resizer"}, map[string]string{"NAMESPACE": "ns", "POD_NAME": "pod"}, []string{"--controllers leaves out"}},
		"limit, no burst":   {[]string{"--kube-api-capacity-qps=1", "--kube-api-capacity-burst=0"}, nil, []string{"--kube-api-capacity-burst=0: must be at least 1"}},
		"the pod namespace": {[]string{"--enable-capacity"}, map[string]string{"POD_NAMESPACE": "ns", "POD_NAME": "pod"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := options.Parse(test.args, environment(test.variables), io.Discard)
			if test.want == nil && err != nil {
				t.Fatalf("the error is %v", err)
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error %v lacks %q", err, want)
				}
			}
		})
	}
}

func TestCapacityNamespace(t *testing.T) {
	for name, test := range map[string]struct {
		variables map[string]string
		want      options.Capacity
	}{
		"as external-provisioner has it": {map[string]string{"NAMESPACE": "ns", "POD_NAMESPACE": "other", "POD_NAME": "pod"}, options.Capacity{Namespace: "ns", Pod: "pod"}},
		"that of the pod":                {map[string]string{"POD_NAMESPACE": "other"}, options.Capacity{Namespace: "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := options.Parse(nil, environment(test.variables), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			got := options.Capacity{Namespace: config.Capacity.Namespace, Pod: config.Capacity.Pod}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("namespace and pod (-want +got):\n%s", diff)
			}
		})
	}
}
