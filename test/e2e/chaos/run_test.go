package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// shortRun is played with a fixed seed; the long one is make chaos.
var shortRun = Options{Seed: 1, Volumes: 220, Lanes: 4, Prefix: "own"}

// TestNothingIsLost plays a short run.
func TestNothingIsLost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
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
	options := shortRun
	options.Program, options.Progress = Own(s.Program("chaos-provisioner")), func(message string) { t.Log(message) }
	figures, err := Run(ctx, s, options)
	if err != nil {
		t.Fatal(err)
	}
	if figures.Made < options.Volumes || figures.Kills() < figures.Rounds || figures.Batches == 0 {
		t.Errorf("too little has happened: %d volumes, %d kills, %d batches of the journal", figures.Made, figures.Kills(), figures.Batches)
	}
	if figures.Intrusions[Restore] == 0 || figures.Intrusions[Forge] == 0 {
		t.Errorf("no records were restored, or none forged: %v", figures.Intrusions)
	}
	for _, finding := range figures.Findings {
		t.Error(finding)
	}
}
