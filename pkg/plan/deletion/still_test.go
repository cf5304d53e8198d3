package deletion_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/deletion"
)

func TestStill(t *testing.T) {
	for name, c := range map[string]struct {
		change func(in *deletion.Input)
		says   string // empty when the decision is still right
	}{
		"nothing":       {func(*deletion.Input) {}, ""},
		"other changes": {func(in *deletion.Input) { in.Volume.Labels = map[string]string{"a": "b"} }, ""},
		"retained": {func(in *deletion.Input) {
			in.Volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}, "reclaim policy Retain"},
		"bound":          {func(in *deletion.Input) { in.Volume.Status.Phase = corev1.VolumeBound }, "phase Bound"},
		"attached":       {func(in *deletion.Input) { in.AttachedTo = []string{"node-a"} }, "still attached to node node-a"},
		"another handle": {func(in *deletion.Input) { in.Volume.Spec.CSI.VolumeHandle = "other" }, `handle "other" by now`},
		"another secret": {func(in *deletion.Input) { in.Volume.Annotations[secretName] = "other" }, "another Secret"},
		"no secret":      {func(in *deletion.Input) { in.Volume.Annotations[secretName] = "" }, "another Secret"},
		"another driver": {func(in *deletion.Input) { in.Volume.Spec.CSI.Driver = "other" }, "by now"},
		"unable":         {func(in *deletion.Input) { in.Capabilities.CreateDelete = false }, "can't delete volumes"},
		"made by others": {func(in *deletion.Input) { in.Volume.Annotations[provisionedBy] = "other" }, "by now"},
	} {
		t.Run(name, func(t *testing.T) {
			decided := deletion.Decide(due())
			if decided.Verdict != deletion.Act {
				t.Fatalf("the verdict is %v", decided.Verdict)
			}
			now := due()
			c.change(&now)
			err := decided.Still(now)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("the error is %v, want %q", err, c.says)
			}
		})
	}
}
