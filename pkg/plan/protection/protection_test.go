package protection_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/protection"
)

func TestDecide(t *testing.T) {
	claim := func(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
		claim := &corev1.PersistentVolumeClaim{}
		if change != nil {
			change(claim)
		}
		return claim
	}
	bound := claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv" })
	deleted := claim(func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} })
	wanting := claim(nil)
	type claims = []*corev1.PersistentVolumeClaim
	base := protection.Input{Driver: "mine", Owner: "mine", Protected: true}
	for name, test := range map[string]struct {
		change func(*protection.Input)
		want   protection.Verdict
	}{
		"nobody":                           {func(*protection.Input) {}, protection.Release},
		"deleted":                          {func(in *protection.Input) { in.Deleting = true }, protection.Release},
		"without a finalizer":              {func(in *protection.Input) { in.Protected = false }, protection.Leave},
		"without, deleted":                 {func(in *protection.Input) { in.Protected, in.Deleting = false, true }, protection.Leave},
		"in use":                           {func(in *protection.Input) { in.InUse = true }, protection.Keep},
		"in use, deleted":                  {func(in *protection.Input) { in.InUse, in.Deleting = true, true }, protection.Keep},
		"in use, claim gone":               {func(in *protection.Input) { in.InUse, in.Claims = true, claims{deleted} }, protection.Keep},
		"wanted":                           {func(in *protection.Input) { in.Claims = claims{wanting} }, protection.Keep},
		"wanted, deleted":                  {func(in *protection.Input) { in.Claims, in.Deleting = claims{wanting}, true }, protection.Keep},
		"claim bound":                      {func(in *protection.Input) { in.Claims = claims{bound} }, protection.Release},
		"claim being deleted":              {func(in *protection.Input) { in.Claims = claims{deleted} }, protection.Release},
		"one of many":                      {func(in *protection.Input) { in.Claims = claims{bound, deleted, wanting} }, protection.Keep},
		"none of many":                     {func(in *protection.Input) { in.Claims = claims{bound, deleted} }, protection.Release},
		"of another driver":                {func(in *protection.Input) { in.Owner = "other" }, protection.Leave},
		"of another driver, deleted":       {func(in *protection.Input) { in.Owner, in.Deleting = "other", true }, protection.Leave},
		"of nobody":                        {func(in *protection.Input) { in.Owner = "" }, protection.Leave},
		"of nobody, deleted":               {func(in *protection.Input) { in.Owner, in.Deleting = "", true }, protection.Release},
		"of nobody, deleted, in use":       {func(in *protection.Input) { in.Owner, in.Deleting, in.InUse = "", true, true }, protection.Keep},
		"of nobody, deleted, still wanted": {func(in *protection.Input) { in.Owner, in.Deleting, in.Claims = "", true, claims{wanting} }, protection.Keep},
	} {
		t.Run(name, func(t *testing.T) {
			in := base
			test.change(&in)
			if got := protection.Decide(in); got != test.want {
				t.Errorf("verdict is %d, want %d", got, test.want)
			}
		})
	}
}
