package compare

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// readRows reads the names of the rows that may explain differences.
func readRows(t *testing.T) []string {
	t.Helper()
	document, err := os.ReadFile("../../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Rows(string(document))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func readScenarios(t *testing.T) []*Scenario {
	t.Helper()
	scenarios, err := Load(os.DirFS("scenarios"))
	if err != nil {
		t.Fatal(err)
	}
	return scenarios
}

// TestScenariosNameRows fails for a scenario whose row has gone, also for those
// that are not in the core set.
func TestScenariosNameRows(t *testing.T) {
	rows, scenarios := readRows(t), readScenarios(t)
	if len(scenarios) < 60 {
		t.Errorf("there are %d scenarios", len(scenarios))
	}
	for _, scenario := range scenarios {
		for _, expected := range scenario.Differences {
			if !slices.Contains(rows, expected.Row) {
				t.Errorf("scenario %s: docs/compatibility.md has no row %q", scenario.Name, expected.Row)
			}
		}
	}
}

// TestCore plays the core scenarios; make compare plays all.
func TestCore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	s, err := stage.Open(ctx, stage.Options{Progress: func(message string) { t.Log(message) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	programs, err := ProgramsIn(s)
	if err != nil {
		t.Fatal(err)
	}
	core := slices.DeleteFunc(readScenarios(t), func(scenario *Scenario) bool { return !scenario.Core })
	results, err := Run(ctx, s, core, Options{Programs: programs, Rows: readRows(t), Lanes: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + Table(results))
	if len(results) != len(core) {
		t.Errorf("played %d of %d scenarios", len(results), len(core))
	}
	for _, result := range results {
		if !result.Sound() {
			t.Error(strings.TrimSpace(result.Details()))
		}
	}
}
