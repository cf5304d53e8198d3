package main

import (
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
)

func TestFlagsPage(t *testing.T) {
	text, err := flagsPage()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `--worker-threads` | uint | `100` |",
		"| P, R | P: default `5`; R: default `5` |", // --kube-api-qps
		"| `-v, --v` |",
		"| `POD_NAME` |",
		"| `Topology` | GA | `true` |",
		"| `--enable-leader-election` | use --leader-election |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestDifferencesOfFlags(t *testing.T) {
	for name, test := range map[string]struct {
		peer    peerFlag
		ours    string
		letters string
		want    string
	}{
		"own":             {peerFlag{}, "1", "", ""},
		"same":            {both("1"), "1", "P, R", ""},
		"another default": {provisioner("5"), "0", "P", "P: default `5`"},
		"and more":        {resizer("5").but("for each"), "0", "R", "R: default `5`; for each"},
		"only more":       {both("").but("for each"), "", "P, R", "for each"},
	} {
		if got := test.peer.differences(test.ours); got != test.want || test.peer.letters() != test.letters {
			t.Errorf("%s: %q, %q, want %q, %q", name, test.peer.letters(), got, test.letters, test.want)
		}
	}
}

// TestMetricsPage: all metrics are counted for it, or it would not tell of them.
func TestMetricsPage(t *testing.T) {
	text, err := metricsPage()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `workqueue_depth` | gauge | `name` |",
		"| `csi_sidecar_operations_seconds` | histogram | `driver_name`, `grpc_status_code`, `method_name` |",
		"| 0.1 0.25 0.5 1 2.5 5 10 15 25 50 120 300 600 | `csi_sidecar_operations_seconds` |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if errs := missing(metrics.New(), nil); len(errs) < 10 {
		t.Errorf("of a set in which nothing was counted, %d metrics are missed: %v", len(errs), errs)
	}
}

const eventsSource = `package names

const (
	// ReasonA, Normal, on a claim: it
	// begins.
	ReasonA = "A"
	// ReasonB, Warning, on a volume: it fails. Mend: this: that.
	ReasonB = "B"
)
`

func use(lines string) string { return "package use\n\nfunc f() {\n" + lines + "\n}\n" }

func TestEventsPage(t *testing.T) {
	good := map[string]string{
		"names/names.go":    eventsSource,
		"use/use.go":        use("e.Normal(claim, names.ReasonA, text)\ne.Warning(volume, names.ReasonB, text)"),
		"use/other_test.go": use("e.Warning(claim, names.ReasonA, text)"), // what tests do does not count
	}
	text, err := eventsPage(at(t, good))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| `A` | Normal | a claim | it begins |  |", "| `B` | Warning | a volume | it fails | this: that |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s:\n%s", want, text)
		}
	}
	for name, test := range map[string]struct{ file, content, want string }{
		"wrong type":  {"use/use.go", use("e.Warning(claim, names.ReasonA, text)\ne.Warning(volume, names.ReasonB, text)"), "ReasonA is used for an event of the type Warning"},
		"not used":    {"use/use.go", use("e.Normal(claim, names.ReasonA, text)"), "ReasonB is used nowhere"},
		"no mend":     {"names/names.go", strings.Replace(eventsSource, " Mend: this: that.", "", 1), "ReasonB, a warning, tells no mend"},
		"no type":     {"names/names.go", strings.Replace(eventsSource, "Normal, on", "on", 1), "the comment of ReasonA must have the form"},
		"not parsed":  {"use/use.go", "package", "reading events"},
		"no constant": {"names/names.go", strings.Replace(eventsSource, `"A"`, `"A" + x`, 1), "ReasonA is not a string"},
	} {
		files := map[string]string{}
		for file, content := range good {
			files[file] = content
		}
		files[test.file] = test.content
		if _, err := eventsPage(at(t, files)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		}
	}
}
