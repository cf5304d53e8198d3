package main

import (
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
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
	ReasonA = "A"
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
	table := func(change func(a, b *names.Event)) []names.Event {
		events := []names.Event{
			{Reason: "A", Type: names.EventNormal, Object: "a claim", When: "it begins"},
			{Reason: "B", Type: names.EventWarning, Object: "a volume", When: "it fails", Fix: "this: that"},
		}
		change(&events[0], &events[1])
		return events
	}
	same := func(_, _ *names.Event) {}
	text, err := eventsPage(at(t, good), table(same))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| `A` | Normal | a claim | it begins |  |", "| `B` | Warning | a volume | it fails | this: that |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s:\n%s", want, text)
		}
	}
	for name, test := range map[string]struct {
		file, content string
		change        func(a, b *names.Event)
		want          string
	}{
		"wrong type":   {"use/use.go", use("e.Warning(claim, names.ReasonA, text)\ne.Warning(volume, names.ReasonB, text)"), same, "ReasonA is used for an event of the type Warning"},
		"not used":     {"use/use.go", use("e.Normal(claim, names.ReasonA, text)"), same, "ReasonB is used nowhere"},
		"not parsed":   {"use/use.go", "package", same, "reading events"},
		"no string":    {"names/names.go", strings.Replace(eventsSource, `"A"`, `"A" + x`, 1), same, "ReasonA is not a string"},
		"no constant":  {"names/names.go", strings.Replace(eventsSource, `ReasonB = "B"`, "", 1), same, "no constant for the event B"},
		"no fix":       {"", "", func(_, b *names.Event) { b.Fix = "" }, "B, a warning, has no fix"},
		"no type":      {"", "", func(a, _ *names.Event) { a.Type = "" }, "A has the type"},
		"no object":    {"", "", func(a, _ *names.Event) { a.Object = "" }, "A lacks its object"},
		"not in table": {"", "", func(a, b *names.Event) { *a = *b }, "ReasonA is not in the table"},
	} {
		files := map[string]string{}
		for file, content := range good {
			files[file] = content
		}
		if test.file != "" {
			files[test.file] = test.content
		}
		if _, err := eventsPage(at(t, files), table(test.change)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		}
	}
}
