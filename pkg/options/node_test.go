package options_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

func TestNodeDeployment(t *testing.T) {
	on := map[string]string{"NODE_NAME": "n1"}
	for name, test := range map[string]struct {
		args      []string
		variables map[string]string
		want      []string // parts of the error; nil for none
	}{
		"off":               {nil, nil, nil},
		"on":                {[]string{"--node-deployment"}, on, nil},
		"no name":           {[]string{"--node-deployment"}, nil, []string{"NODE_NAME is not set", "spec.nodeName of the pod"}},
		"leader election":   {[]string{"--node-deployment", "--leader-election"}, on, []string{"--leader-election: must not be given with --node-deployment"}},
		"resizing":          {[]string{"--node-deployment", "--controllers=provisioner,resizer"}, on, []string{"--controllers names the resizer"}},
		"provisioning":      {[]string{"--node-deployment", "--controllers=provisioner"}, on, nil},
		"no delay":          {[]string{"--node-deployment-base-delay=0s"}, nil, []string{"--node-deployment-base-delay=0s: must be longer than 0"}},
		"a shorter longest": {[]string{"--node-deployment-max-delay=10s"}, nil, []string{"--node-deployment-max-delay=10s: must not be shorter than --node-deployment-base-delay=20s"}},
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

func TestNodeDeploymentConfig(t *testing.T) {
	config, err := options.Parse([]string{
		"--node-deployment", "--node-deployment-immediate-binding=false", "--node-deployment-base-delay=2s", "--node-deployment-max-delay=3s",
	}, environment(map[string]string{"NODE_NAME": "n1"}), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := options.NodeDeployment{Enabled: true, Name: "n1", BaseDelay: 2 * time.Second, MaxDelay: 3 * time.Second}
	if diff := cmp.Diff(want, config.Node); diff != "" {
		t.Errorf("the configuration (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(options.Controllers{Provisioner: true}, config.Controllers); diff != "" {
		t.Errorf("the controllers (-want +got):\n%s", diff)
	}
}
