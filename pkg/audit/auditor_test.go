package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
)

// scene notes what is asked, and answers as a test says.
type scene struct {
	asked   []string
	volumes []*csipb.Volume
	err     map[string]error
}

type sceneIntents struct{ *scene }

type scenePersistent struct{ *scene }

func (s *scene) List(context.Context) ([]*csipb.Volume, error) {
	s.asked = append(s.asked, "volumes")
	return s.volumes, s.err["volumes"]
}

func (s sceneIntents) List(context.Context) (audit.Records, error) {
	s.asked = append(s.asked, "intents")
	return audit.Records{}, s.err["intents"]
}

func (s scenePersistent) List(context.Context) ([]audit.PersistentVolume, error) {
	s.asked = append(s.asked, "persistent")
	return nil, s.err["persistent"]
}

func (s *scene) auditor(settle time.Duration) *audit.Auditor {
	return &audit.Auditor{
		Driver: "d", Volumes: s, Intents: sceneIntents{s}, PersistentVolumes: scenePersistent{s},
		Settle: settle, Clock: clock.RealClock{},
	}
}

func quiet(t *testing.T) context.Context {
	t.Helper()
	return klog.NewContext(t.Context(), ktesting.NewLogger(ktesting.NopTL{}, ktesting.NewConfig()))
}

// TestAuditLooksAgain: only if something is not in order, and after some time.
// The order in which it reads is what the conclusions rest on.
func TestAuditLooksAgain(t *testing.T) {
	look := []string{"volumes", "intents", "persistent"}
	for name, c := range map[string]struct {
		volumes []*csipb.Volume
		asked   []string
		took    time.Duration
	}{
		"in order":     {nil, slices.Concat([]string{"persistent"}, look), 0},
		"not in order": {[]*csipb.Volume{{VolumeId: "lost"}}, slices.Concat([]string{"persistent"}, look, look), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, started := &scene{volumes: c.volumes}, time.Now()
				report, err := s.auditor(time.Minute).Run(quiet(t))
				if err != nil {
					t.Fatal(err)
				}
				if report.Summary.Unknown != len(c.volumes) {
					t.Errorf("%d volumes are unknown, want %d", report.Summary.Unknown, len(c.volumes))
				}
				if diff := cmp.Diff(c.asked, s.asked); diff != "" {
					t.Errorf("asked for (-want +got):\n%s", diff)
				}
				if took := time.Since(started); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
			})
		})
	}
}

func TestAuditIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{volumes: []*csipb.Volume{{VolumeId: "lost"}}}
		ctx, cancel := context.WithTimeout(quiet(t), time.Second)
		defer cancel()
		if _, err := s.auditor(time.Hour).Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestAuditWithoutTheRightToTheJournal: the rest is reported.
func TestAuditWithoutTheRightToTheJournal(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no role"))
	s := &scene{volumes: []*csipb.Volume{{VolumeId: "lost"}}, err: map[string]error{"intents": fmt.Errorf("listing: %w", forbidden)}}
	report, err := s.auditor(0).Run(quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if report.Summary.Unknown != 1 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "no role") {
		t.Errorf("the report is %+v", report)
	}
}

// TestAuditFails: a report that lacks a part would be wrong.
func TestAuditFails(t *testing.T) {
	for _, part := range []string{"volumes", "intents", "persistent"} {
		failure := errors.New("no " + part)
		s := &scene{err: map[string]error{part: failure}}
		if report, err := s.auditor(0).Run(quiet(t)); !errors.Is(err, failure) || report != nil {
			t.Errorf("without %s the report is %v and the error %v", part, report, err)
		}
	}
}
