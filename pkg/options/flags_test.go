package options

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	_ "k8s.io/component-base/logs/json/register" // It has flags of its own.
)

// peers are the defaults of external-provisioner and external-resizer, for the
// flags that exist here.
func peers() map[string]string {
	return map[string]string{
		// of external-provisioner
		"master":                      "",
		"volume-name-prefix":          "pvc",
		"volume-name-uuid-length":     "-1",
		"retry-interval-start":        "1s",
		"retry-interval-max":          "5m0s",
		"worker-threads":              "100",
		"timeout":                     "10s",
		"strict-topology":             "false",
		"immediate-topology":          "true",
		"extra-create-metadata":       "false",
		"enable-pprof":                "false",
		"default-fstype":              "",
		"controller-publish-readonly": "false",
		"feature-gates":               "",

		"prevent-volume-mode-conversion": "true",
		"snapshot-orphan-sweep-interval": "5m0s",
		"cloning-protection-threads":     "1",

		"enable-capacity":                   "false",
		"capacity-for-immediate-binding":    "false",
		"capacity-poll-interval":            "1m0s",
		"capacity-ownerref-level":           "1",
		"capacity-threads":                  "1",
		"kube-api-capacity-burst":           "5",
		"node-deployment":                   "false",
		"node-deployment-immediate-binding": "true",
		"node-deployment-base-delay":        "20s",
		"node-deployment-max-delay":         "1m0s",
		// of external-resizer
		"workers":                   "10",
		"resync-period":             "10m0s",
		"handle-volume-inuse-error": "true",
		"extra-modify-metadata":     "false",
		// of all sidecars
		"version":                        "false",
		"kubeconfig":                     "",
		"csi-address":                    "/run/csi/socket",
		"leader-election":                "false",
		"leader-election-namespace":      "",
		"leader-election-lease-duration": "15s",
		"leader-election-renew-deadline": "10s",
		"leader-election-retry-period":   "5s",
		"leader-election-labels":         "",
		"kube-api-burst":                 "10",
		"http-endpoint":                  "",
		"metrics-address":                "",
		"metrics-path":                   "/metrics",
		"automaxprocs":                   "",
		// of logging
		"logging-format":            "text",
		"log-flush-frequency":       "5s",
		"v":                         "0",
		"vmodule":                   "",
		"log-text-split-stream":     "false",
		"log-text-info-buffer-size": "0",
		"log-json-split-stream":     "false",
		"log-json-info-buffer-size": "0",
	}
}

// own are those that are this program's alone, or differ by design.
func own() map[string]string {
	return map[string]string{
		"kube-api-qps":                 "0", // 5 in the peers
		"kube-api-capacity-qps":        "0", // 1 in the peer
		"controllers":                  "[provisioner,resizer]",
		"provisioning-journal":         "auto",
		"provisioning-journal-max-age": "24h0m0s",
		"backfill-expand-secrets":      "false",
		"resizer-timeout":              "0s",
		"resize-timeout":               "0s", // 10s in the peer
		"modify-timeout":               "0s", // 10s in the peer
		"resizer-retry-interval-start": "0s",
		"resizer-retry-interval-max":   "0s",
	}
}

func TestDefaultsAreThoseOfThePeers(t *testing.T) {
	var c Config
	var r raw
	got := map[string]string{}
	flagSet(&c, &r).VisitAll(func(f *pflag.Flag) {
		got[f.Name] = f.DefValue
		if f.Usage == "" {
			t.Errorf("--%s has no description", f.Name)
		}
	})
	want := peers()
	for name, value := range own() {
		want[name] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

// Only -v is short, as in the peers.
func TestShorthands(t *testing.T) {
	var c Config
	var r raw
	flagSet(&c, &r).VisitAll(func(f *pflag.Flag) {
		if f.Shorthand != "" && f.Name != "v" {
			t.Errorf("--%s has the shorthand -%s", f.Name, f.Shorthand)
		}
	})
	if config := parse(t, "-v=5"); config.Logging.Verbosity != 5 {
		t.Errorf("-v=5 sets the verbosity to %d", config.Logging.Verbosity)
	}
}

func TestLeaseLabels(t *testing.T) {
	cases := map[string]struct {
		args []string
		want map[string]string
	}{
		"none":          {nil, nil},
		"one":           {[]string{"--leader-election-labels=a:b"}, map[string]string{"a": "b"}},
		"two":           {[]string{"--leader-election-labels=a:b, c : d"}, map[string]string{"a": "b", "c": "d"}},
		"several times": {[]string{"--leader-election-labels=a:b", "--leader-election-labels=c:d"}, map[string]string{"a": "b", "c": "d"}},
		"empty value":   {[]string{"--leader-election-labels=a:"}, map[string]string{"a": ""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, parse(t, c.args...).LeaderElection.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

// What has been set is shown as it can be given.
func TestValuesPrintThemselves(t *testing.T) {
	var c Config
	var r raw
	fs := flagSet(&c, &r)
	for name, value := range map[string]string{
		"feature-gates": "AnnotateFsResize=false,Topology=true", "leader-election-labels": "a:b,c:d",
	} {
		if err := fs.Set(name, value); err != nil {
			t.Fatal(err)
		}
		if got := fs.Lookup(name).Value.String(); got != value {
			t.Errorf("--%s=%s is printed as %q", name, value, got)
		}
	}
}
