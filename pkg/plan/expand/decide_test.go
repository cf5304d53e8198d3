package expand_test

import (
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// expanding is a world whose claim asks for 7Gi where it has 6Gi.
func expanding(t testing.TB) *world {
	w := newWorld(t)
	w.set("P", "6Gi")
	w.set("S", "7Gi")
	w.set("C", "6Gi")
	return w
}

func checkVerdict(t *testing.T, got expand.Decision, want expand.Verdict) {
	t.Helper()
	if got.Verdict != want {
		t.Fatalf("verdict is %d (%v), want %d", got.Verdict, got.Err, want)
	}
}

// Whatever the claim says, a volume of somebody else is never touched.
func TestWhoseVolumeItIs(t *testing.T) {
	for name, change := range map[string]func(*world){
		"no volume":            func(w *world) { w.volume = nil },
		"not bound":            func(w *world) { w.claim.Status.Phase = corev1.ClaimPending },
		"lost":                 func(w *world) { w.claim.Status.Phase = corev1.ClaimLost },
		"without volume name":  func(w *world) { w.claim.Spec.VolumeName = "" },
		"of other name":        func(w *world) { w.claim.Spec.VolumeName = "pvc-2" },
		"of other driver":      func(w *world) { w.volume.Spec.CSI.Driver = "other" },
		"without claim":        func(w *world) { w.volume.Spec.ClaimRef = nil },
		"claim of other space": func(w *world) { w.volume.Spec.ClaimRef.Namespace = "team-b" },
		"claim of other name":  func(w *world) { w.volume.Spec.ClaimRef.Name = "other" },
		"claim of other UID":   func(w *world) { w.volume.Spec.ClaimRef.UID = "2" },
		"in-tree": func(w *world) {
			w.volume.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}
		},
		"annotated for this driver": func(w *world) {
			w.volume.Spec.CSI.Driver = "other"
			w.claim.Annotations[resizer] = driverName
			metav1.SetMetaDataAnnotation(&w.volume.ObjectMeta, "pv.kubernetes.io/migrated-to", driverName)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, done := range []bool{false, true} {
				w := expanding(t)
				// An annotation that has done its work is left alone, too.
				metav1.SetMetaDataAnnotation(&w.volume.ObjectMeta, preResize, "5Gi")
				if done {
					w.set("S", "6Gi")
				}
				change(w)
				checkVerdict(t, w.decide(), expand.Skip)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	w := expanding(t)
	w.volume.Spec.MountOptions = []string{"noatime"}
	w.volume.Spec.CSI.ControllerExpandSecretRef = &corev1.SecretReference{Namespace: "s", Name: "secret"}
	mode := corev1.PersistentVolumeFilesystem
	w.volume.Spec.VolumeMode = &mode
	got := w.decide()
	checkVerdict(t, got, expand.Act)
	want := &csipb.ControllerExpandVolumeRequest{
		VolumeId:      "handle",
		CapacityRange: &csipb.CapacityRange{RequiredBytes: 7516192768},
		VolumeCapability: &csipb.VolumeCapability{
			AccessMode: &csipb.VolumeCapability_AccessMode{Mode: csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
			AccessType: &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{FsType: "xfs", MountFlags: []string{"noatime"}}},
		},
	}
	if diff := cmp.Diff(want, got.Plan.Request, protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&secrets.Ref{Namespace: "s", Name: "secret"}, got.Plan.Secret); diff != "" {
		t.Errorf("secret (-want +got):\n%s", diff)
	}

	mode = corev1.PersistentVolumeBlock
	want.VolumeCapability.AccessType = &csipb.VolumeCapability_Block{Block: &csipb.VolumeCapability_BlockVolume{}}
	if diff := cmp.Diff(want, w.decide().Plan.Request, protocmp.Transform()); diff != "" {
		t.Errorf("request for a block volume (-want +got):\n%s", diff)
	}

	// Nothing is called, so no Secret is needed.
	w.set("driver", "node")
	if plan := w.decide().Plan; plan.Request != nil || plan.Secret != nil {
		t.Errorf("a driver that expands on the node only is called: %+v", plan)
	}
}

func TestAccessMode(t *testing.T) {
	const (
		rwo, rox, rwx, rwop = corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOncePod
		writer              = csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
		single              = csipb.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
		multi               = csipb.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER
		reader              = csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
		many                = csipb.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
		none                = csipb.VolumeCapability_AccessMode_UNKNOWN
	)
	type modes = []corev1.PersistentVolumeAccessMode
	for name, test := range map[string]struct {
		modes         modes
		without, with csipb.VolumeCapability_AccessMode_Mode // SINGLE_NODE_MULTI_WRITER
		err           string
	}{
		"RWOP":         {modes{rwop}, writer, single, ""},
		"RWOP twice":   {modes{rwop, rwop}, writer, single, ""},
		"RWOP and RWO": {modes{rwop, rwo}, none, none, "ReadWriteOncePod beside other"},
		"RWX and RWOP": {modes{rwx, rwop}, none, none, "ReadWriteOncePod beside other"},
		"RWX":          {modes{rwx}, many, many, ""},
		"all but RWOP": {modes{rwo, rox, rwx}, many, many, ""},
		"ROX and RWO":  {modes{rox, rwo}, none, none, "both ReadOnlyMany and ReadWriteOnce"},
		"ROX":          {modes{rox}, reader, reader, ""},
		"RWO":          {modes{rwo}, writer, multi, ""},
		"none":         {nil, none, none, "no known mode"},
		"unknown":      {modes{"x"}, none, none, "no known mode"},
	} {
		t.Run(name, func(t *testing.T) {
			for capable, want := range map[bool]csipb.VolumeCapability_AccessMode_Mode{false: test.without, true: test.with} {
				w := expanding(t)
				w.volume.Spec.AccessModes, w.caps.SingleNodeMultiWriter = test.modes, capable
				got := w.decide()
				if test.err != "" {
					checkRejected(t, got, `PersistentVolume "pvc-1"`, test.err)
					continue
				}
				checkVerdict(t, got, expand.Act)
				if mode := got.Plan.Request.GetVolumeCapability().GetAccessMode().GetMode(); mode != want {
					t.Errorf("with SINGLE_NODE_MULTI_WRITER %t: mode is %s, want %s", capable, mode, want)
				}
			}
		})
	}
}

func checkRejected(t *testing.T, got expand.Decision, parts ...string) {
	t.Helper()
	checkVerdict(t, got, expand.Reject)
	for _, part := range parts {
		if !strings.Contains(got.Err.Error(), part) {
			t.Errorf("error is %q, want %q in it", got.Err, part)
		}
	}
}

func TestRejected(t *testing.T) {
	w := expanding(t)
	w.volume.Spec.CSI.VolumeHandle = ""
	checkRejected(t, w.decide(), `PersistentVolume "pvc-1" has an empty spec.csi.volumeHandle`)

	for _, driver := range []string{"both", "node"} {
		w = expanding(t)
		w.set("driver", driver)
		w.set("S", "9223372036854775807")
		checkVerdict(t, w.decide(), expand.Act)
		for _, size := range []string{"9223372036854775808", "10E", "99999999999999999999999"} {
			w.set("S", size)
			checkRejected(t, w.decide(), "spec.resources.requests.storage", size, "9223372036854775807 bytes")
		}
	}
}

func TestBackfill(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world)
		want   expand.Verdict
	}{
		"named by the class":    {func(*world) {}, expand.Backfill},
		"without the option":    {func(w *world) { w.opts.BackfillExpandSecrets = false }, expand.Act},
		"no class":              {func(w *world) { w.class = nil }, expand.Act},
		"class names none":      {func(w *world) { w.class.Parameters = nil }, expand.Act},
		"class of other driver": {func(w *world) { w.class.Provisioner = "other" }, expand.Act},
		"nothing to do":         {func(w *world) { w.set("S", "6Gi") }, expand.Skip},
		"no driver to call":     {func(w *world) { w.set("driver", "node") }, expand.Act},
		"has another": {func(w *world) {
			w.volume.Spec.CSI.ControllerExpandSecretRef = &corev1.SecretReference{Namespace: "s", Name: "other"}
		}, expand.Act},
		"pause": {func(w *world) {
			w.set("A", "7Gi")
			w.set("R", "ControllerResizeInfeasible")
		}, expand.Pause},
		"template without a value": {func(w *world) { delete(w.claim.Annotations, otherKey) }, expand.Reject},
	} {
		t.Run(name, func(t *testing.T) {
			w := expanding(t)
			w.opts.BackfillExpandSecrets = true
			w.class.Parameters = map[string]string{expandSecret: "${pvc.name}-${pvc.annotations['" + otherKey + "']}", expandSpace: "${pvc.namespace}"}
			test.change(w)
			got := w.begin()
			checkVerdict(t, got, test.want)
			switch got.Verdict {
			case expand.Backfill:
				want := expanding(t).volume
				want.Spec.CSI.ControllerExpandSecretRef = &corev1.SecretReference{Namespace: "team-a", Name: "data-x"}
				if diff := cmp.Diff(want, got.Volume); diff != "" {
					t.Errorf("volume (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(&secrets.Ref{Namespace: "team-a", Name: "data-x"}, w.decide().Plan.Secret); diff != "" {
					t.Errorf("secret when it is written (-want +got):\n%s", diff)
				}
			case expand.Reject:
				checkRejected(t, got, `PersistentVolume "pvc-1" has no spec.csi.controllerExpandSecretRef: StorageClass "fast": `, "no such annotation")
			}
		})
	}
}

func TestNodeSecretWarning(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world)
		want   bool
	}{
		"asked for": {func(*world) {}, true},
		"by default": {func(w *world) {
			w.class.Parameters = map[string]string{"csi.storage.k8s.io/secret-name": "a", "csi.storage.k8s.io/secret-namespace": "b"}
		}, true},
		"asked for in vain":     {func(w *world) { w.class.Parameters[nodeSecret] = "${pvc.annotations['no']}" }, true},
		"on the node only":      {func(w *world) { w.set("driver", "node") }, true},
		"legacy":                {func(w *world) { w.set("legacy", "") }, true},
		"not asked for":         {func(w *world) { w.class.Parameters = nil }, false},
		"no class":              {func(w *world) { w.class = nil }, false},
		"class of other driver": {func(w *world) { w.class.Provisioner = "other" }, false},
		"there": {func(w *world) {
			w.volume.Spec.CSI.NodeExpandSecretRef = &corev1.SecretReference{Namespace: "s", Name: "other"}
		}, false},
		"legacy, begun": {func(w *world) {
			w.set("legacy", "")
			w.set("cond", "Resizing")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := expanding(t)
			w.class.Parameters = map[string]string{nodeSecret: "a", nodeSpace: "b"}
			test.change(w)
			got := w.begin()
			checkVerdict(t, got, expand.Act)
			if (got.Warning != "") != test.want {
				t.Fatalf("warning is %q", got.Warning)
			}
			for _, part := range []string{`StorageClass "fast"`, `PersistentVolume "pvc-1"`, "spec.csi.nodeExpandSecretRef", "existing PersistentVolume", "docs/expand-secrets.md"} {
				if test.want && !strings.Contains(got.Warning, part) {
					t.Errorf("warning is %q, want %q in it", got.Warning, part)
				}
			}
			// Once for each expansion.
			if again := w.begin(); again.Warning != "" {
				t.Errorf("the second attempt has the warning %q", again.Warning)
			}
		})
	}
}

// The legacy path must not be led by what the other has left.
func TestOptionsAreKeptApart(t *testing.T) {
	w := expanding(t)
	w.set("A", "9Gi")
	w.set("R", "NodeResizePending")
	w.set("legacy", "")
	got := w.decide()
	checkVerdict(t, got, expand.Act)
	if !got.Plan.Begins || got.Plan.Target.String() != "7Gi" {
		t.Errorf("aims at %s, begins %t", got.Plan.Target.String(), got.Plan.Begins)
	}
}
