package provision_test

import (
	"errors"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

const (
	snapshotGroup     = "snapshot.storage.k8s.io"
	snapshotFinalizer = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"
	allowModeChange   = "snapshot.storage.kubernetes.io/allow-volume-mode-change"
)

func ptr[T any](value T) *T { return &value }

func storage(size string) corev1.VolumeResourceRequirements {
	return corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}
}

// restoring is an input whose claim is to be made from a snapshot of its namespace.
func restoring() provision.Input {
	in := wanting()
	in.Driver.Capabilities.Snapshot = true
	in.Options.PreventVolumeModeConversion = true
	in.Claim.Spec.Resources = storage("2Gi")
	in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ptr(snapshotGroup), Kind: "VolumeSnapshot", Name: "daily"}
	in.Source.Snapshot = &source.Snapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "daily", UID: "snap-uid"},
		Status:     source.SnapshotStatus{Content: ptr("content"), Ready: ptr(true), RestoreSize: ptr(resource.MustParse("1Gi"))},
	}
	in.Source.Content = &source.Content{
		ObjectMeta: metav1.ObjectMeta{Name: "content"},
		Spec: source.ContentSpec{
			Driver:   driverName,
			Snapshot: corev1.ObjectReference{Namespace: "team-a", Name: "daily", UID: "snap-uid"},
		},
		Status: source.ContentStatus{Handle: ptr("snap-1")},
	}
	return in
}

// cloning is one whose claim is to be made from another one of its namespace.
func cloning() provision.Input {
	in := wanting()
	in.Driver.Capabilities.Clone = true
	in.Claim.Spec.Resources = storage("2Gi")
	in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "original"}
	in.Source.Claim = &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "original", UID: "orig-uid"},
		Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: ptr("slow"), VolumeName: "pv", Resources: storage("2Gi")},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
	in.Source.Volume = &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec: corev1.PersistentVolumeSpec{
			ClaimRef: &corev1.ObjectReference{Namespace: "team-a", Name: "original", UID: "orig-uid"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: "vol-1"},
			},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}
	return in
}

// sourceCase is one change of an input; without words there must be a plan.
type sourceCase struct {
	change func(*provision.Input)
	words  string
}

func decideAll(t *testing.T, base func() provision.Input, request string, cases map[string]sourceCase) {
	t.Helper()
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			in := base()
			test.change(&in)
			got := provision.Decide(in)
			checkShape(t, got)
			switch {
			case test.words == "" && got.Verdict != provision.Act:
				t.Errorf("verdict is %s: %v", verdicts()[got.Verdict], got.Err)
			case test.words == "":
				if from := contentOf(got.Plan.Request); from != request {
					t.Errorf("the driver is asked for a volume of %q, want %q", from, request)
				}
			case got.Verdict != provision.Reject || !strings.Contains(got.Err.Error(), test.words):
				t.Errorf("verdict is %s (%v), want to reject with %q", verdicts()[got.Verdict], got.Err, test.words)
			}
		})
	}
}

func contentOf(request *csipb.CreateVolumeRequest) string {
	return request.GetVolumeContentSource().GetSnapshot().GetSnapshotId() + request.GetVolumeContentSource().GetVolume().GetVolumeId()
}

// block and filesystem are volume modes.
func block() *corev1.PersistentVolumeMode      { return ptr(corev1.PersistentVolumeBlock) }
func filesystem() *corev1.PersistentVolumeMode { return ptr(corev1.PersistentVolumeFilesystem) }

func TestRestoring(t *testing.T) {
	snapshot := func(change func(*source.Snapshot)) func(*provision.Input) {
		return func(in *provision.Input) { change(in.Source.Snapshot) }
	}
	content := func(change func(*source.Content)) func(*provision.Input) {
		return func(in *provision.Input) { change(in.Source.Content) }
	}
	deleted := func(finalizers ...string) func(*provision.Input) {
		return snapshot(func(s *source.Snapshot) { s.DeletionTimestamp, s.Finalizers = &metav1.Time{}, finalizers })
	}
	// A claim for a file system, of a snapshot of a device.
	converting := func(allow *string) func(*provision.Input) {
		return func(in *provision.Input) {
			in.Claim.Spec.VolumeMode, in.Source.Content.Spec.Mode = filesystem(), block()
			if allow != nil {
				in.Source.Content.Annotations = map[string]string{allowModeChange: *allow}
			}
		}
	}
	decideAll(t, restoring, "snap-1", map[string]sourceCase{
		"ready":        {func(*provision.Input) {}, ""},
		"by reference": {byReference, ""},
		"just fits":    {func(in *provision.Input) { in.Claim.Spec.Resources = storage("1Gi") }, ""},
		"too small":    {func(in *provision.Input) { in.Claim.Spec.Resources = storage("1023Mi") }, "needs 1Gi"},
		"asks no size": {func(in *provision.Input) { in.Claim.Spec.Resources.Requests = nil }, "has no spec.resources.requests.storage"},
		"has no size":  {snapshot(func(s *source.Snapshot) { s.Status.RestoreSize = nil }), ""},
		"neither": {func(in *provision.Input) {
			in.Claim.Spec.Resources.Requests = nil
			in.Source.Snapshot.Status.RestoreSize = nil
		}, ""},
		"without name":  {func(in *provision.Input) { in.Claim.Spec.DataSource.Name = "" }, "has no name"},
		"other group":   {func(in *provision.Input) { in.Claim.Spec.DataSource.APIGroup = ptr("example.com") }, "must be \"snapshot.storage.k8s.io\""},
		"no group":      {func(in *provision.Input) { in.Claim.Spec.DataSource.APIGroup = nil }, "must be \"snapshot.storage.k8s.io\""},
		"driver can't":  {func(in *provision.Input) { in.Driver.Capabilities.Snapshot = false }, "CREATE_DELETE_SNAPSHOT"},
		"driver clones": {func(in *provision.Input) { in.Driver.Capabilities.Snapshot, in.Driver.Capabilities.Clone = false, true }, "CREATE_DELETE_SNAPSHOT"},
		"unreadable":    {func(in *provision.Input) { in.Source = provision.Source{Err: errors.New("the API is away")} }, "the API is away"},
		"missing":       {func(in *provision.Input) { in.Source = provision.Source{} }, "VolumeSnapshot team-a/daily does not exist"},

		"not ready":       {snapshot(func(s *source.Snapshot) { s.Status.Ready = ptr(false) }), "is not ready to use yet"},
		"ready unknown":   {snapshot(func(s *source.Snapshot) { s.Status.Ready = nil }), "is not ready to use yet"},
		"no status":       {snapshot(func(s *source.Snapshot) { s.Status = source.SnapshotStatus{} }), "is not bound"},
		"no content name": {snapshot(func(s *source.Snapshot) { s.Status.Content = ptr("") }), "is not bound"},
		"content missing": {func(in *provision.Input) { in.Source.Content = nil }, "\"content\", which does not exist"},
		"no handle":       {content(func(c *source.Content) { c.Status.Handle = nil }), "no status.snapshotHandle"},
		"empty handle":    {content(func(c *source.Content) { c.Status.Handle = ptr("") }), "no status.snapshotHandle"},
		"other UID":       {content(func(c *source.Content) { c.Spec.Snapshot.UID = "x" }), "that of another snapshot"},
		"other namespace": {content(func(c *source.Content) { c.Spec.Snapshot.Namespace = "x" }), "that of another snapshot"},
		"other name":      {content(func(c *source.Content) { c.Spec.Snapshot.Name = "x" }), "that of another snapshot"},
		"other driver":    {content(func(c *source.Content) { c.Spec.Driver = "other" }), "one of CSI driver \"other\""},

		"deleted":                        {deleted(), "is being deleted"},
		"deleted, kept by somebody":      {deleted("snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"), "is being deleted"},
		"deleted, kept by restores":      {deleted(snapshotFinalizer), ""},
		"deleted, kept by both":          {deleted("x", snapshotFinalizer), ""},
		"mode unknown":                   {func(in *provision.Input) { in.Claim.Spec.VolumeMode = block() }, ""},
		"same mode":                      {content(func(c *source.Content) { c.Spec.Mode = filesystem() }), ""},
		"mode of the claim unknown":      {content(func(c *source.Content) { c.Spec.Mode = block() }), ""},
		"conversion":                     {converting(nil), "has no annotation " + allowModeChange},
		"conversion allowed":             {converting(ptr("true")), ""},
		"conversion allowed in short":    {converting(ptr("1")), ""},
		"conversion forbidden":           {converting(ptr("false")), allowModeChange + ": \"false\""},
		"conversion perhaps":             {converting(ptr("perhaps")), allowModeChange + ": \"perhaps\""},
		"conversion, and nobody minds":   {func(in *provision.Input) { converting(nil)(in); in.Options.PreventVolumeModeConversion = false }, ""},
		"conversion forbidden, all same": {func(in *provision.Input) { converting(ptr("false"))(in); in.Claim.Spec.VolumeMode = block() }, ""},
		"from a file system to a device": {func(in *provision.Input) {
			in.Claim.Spec.VolumeMode, in.Source.Content.Spec.Mode = block(), filesystem()
		}, "is of a volume with Filesystem"},
		"another data source is no wish": {func(in *provision.Input) {
			in.Claim.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: "Dataset", Name: "x"}
		}, ""},
		"all that and the driver is poor": {func(in *provision.Input) { in.Driver.Capabilities.CreateDelete = false }, "CREATE_DELETE_VOLUME"},
	})
}

// byReference has the claim name its source in spec.dataSourceRef alone.
func byReference(in *provision.Input) {
	from := in.Claim.Spec.DataSource
	in.Claim.Spec.DataSource = nil
	in.Claim.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: from.APIGroup, Kind: from.Kind, Name: from.Name}
}

func TestCloning(t *testing.T) {
	from := func(change func(*corev1.PersistentVolumeClaim)) func(*provision.Input) {
		return func(in *provision.Input) { change(in.Source.Claim) }
	}
	volume := func(change func(*corev1.PersistentVolume)) func(*provision.Input) {
		return func(in *provision.Input) { change(in.Source.Volume) }
	}
	sizes := func(had, wanted string) func(*provision.Input) {
		return func(in *provision.Input) {
			in.Source.Claim.Spec.Resources, in.Claim.Spec.Resources = storage(had), storage(wanted)
		}
	}
	modes := func(had, wanted *corev1.PersistentVolumeMode) func(*provision.Input) {
		return func(in *provision.Input) { in.Source.Claim.Spec.VolumeMode, in.Claim.Spec.VolumeMode = had, wanted }
	}
	phase := func(phase corev1.PersistentVolumeClaimPhase) func(*provision.Input) {
		return from(func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = phase })
	}
	volumePhase := func(phase corev1.PersistentVolumePhase) func(*provision.Input) {
		return volume(func(v *corev1.PersistentVolume) { v.Status.Phase = phase })
	}
	decideAll(t, cloning, "vol-1", map[string]sourceCase{
		"bound":                     {func(*provision.Input) {}, ""},
		"by reference":              {byReference, ""},
		"of any group":              {func(in *provision.Input) { in.Claim.Spec.DataSource.APIGroup = ptr("example.com") }, ""},
		"driver can't":              {func(in *provision.Input) { in.Driver.Capabilities.Clone = false }, "CLONE_VOLUME"},
		"driver has snapshots only": {func(in *provision.Input) { in.Driver.Capabilities.Clone, in.Driver.Capabilities.Snapshot = false, true }, "CLONE_VOLUME"},
		"other class":               {from(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr("other") }), ""},
		"empty class":               {from(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr("") }), ""},
		"no class":                  {from(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }), "original, which is to be cloned, has no spec.storageClassName"},
		"no class asked": {func(in *provision.Input) {
			in.Claim.Spec.StorageClassName, in.Claim.Annotations[classBeta] = nil, "fast"
		}, "the claim has no spec.storageClassName"},
		"larger":         {sizes("1Gi", "2Gi"), ""},
		"smaller":        {sizes("2Gi", "1Gi"), "has 2Gi"},
		"a byte less":    {sizes("1073741824", "1073741823"), "has 1073741824"},
		"same in bytes":  {sizes("1Gi", "1073741824"), ""},
		"without name":   {func(in *provision.Input) { in.Claim.Spec.DataSource.Name = "" }, "has no name"},
		"missing":        {func(in *provision.Input) { in.Source = provision.Source{} }, "does not exist"},
		"unreadable":     {func(in *provision.Input) { in.Source = provision.Source{Err: errors.New("the API is away")} }, "the API is away"},
		"pending":        {phase(corev1.ClaimPending), "is Pending: it must be bound"},
		"lost":           {phase(corev1.ClaimLost), "is Lost: it must be bound"},
		"no phase":       {phase(""), "must be bound"},
		"being deleted":  {from(func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} }), "is being deleted"},
		"no volume name": {from(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "" }), "has no volume"},

		"no volume":           {func(in *provision.Input) { in.Source.Volume = nil }, "PersistentVolume \"pv\" does not exist"},
		"volume released":     {volumePhase(corev1.VolumeReleased), "is Released, and must be bound"},
		"volume failed":       {volumePhase(corev1.VolumeFailed), "is Failed, and must be bound"},
		"volume pending":      {volumePhase(corev1.VolumePending), "is Pending, and must be bound"},
		"volume available":    {volumePhase(corev1.VolumeAvailable), "is Available, and must be bound"},
		"volume unbound":      {volume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }), "belongs to another claim"},
		"other UID":           {volume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "x" }), "belongs to another claim"},
		"other namespace":     {volume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Namespace = "x" }), "belongs to another claim"},
		"other name":          {volume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name = "x" }), "belongs to another claim"},
		"other driver":        {volume(func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "x" }), "is none of CSI driver"},
		"no CSI":              {volume(func(v *corev1.PersistentVolume) { v.Spec.CSI = nil }), "is none of CSI driver"},
		"both without a mode": {modes(nil, nil), ""},
		"both file systems":   {modes(filesystem(), filesystem()), ""},
		"both devices":        {modes(block(), block()), ""},
		"nil and file system": {modes(nil, filesystem()), ""},
		"file system and nil": {modes(filesystem(), nil), ""},
		"nil and device":      {modes(nil, block()), "spec.volumeMode is Block"},
		"device and nil":      {modes(block(), nil), "spec.volumeMode is Filesystem"},
		"to a file system":    {modes(block(), filesystem()), "spec.volumeMode is Filesystem"},
		"to a device":         {modes(filesystem(), block()), "spec.volumeMode is Block"},
	})
}

// elsewhere moves the source of an input to another namespace, which the claim
// names.
func elsewhere(base func() provision.Input) func() provision.Input {
	return func() provision.Input {
		in := base()
		byReference(&in)
		in.Claim.Spec.DataSourceRef.Namespace = ptr("team-b")
		in.Options.CrossNamespaceVolumeDataSource = true
		if in.Source.Snapshot != nil {
			in.Source.Snapshot.Namespace, in.Source.Content.Spec.Snapshot.Namespace = "team-b", "team-b"
		} else {
			in.Source.Claim.Namespace, in.Source.Volume.Spec.ClaimRef.Namespace = "team-b", "team-b"
		}
		ref, _ := source.Of(in.Claim)
		in.Source.Grants = []*source.Grant{grantFor(ref)}
		return in
	}
}

func grantFor(ref source.Ref) *source.Grant {
	return &source.Grant{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "grant"},
		Spec: source.GrantSpec{
			From: []source.GrantFrom{{Kind: "PersistentVolumeClaim", Namespace: "team-a"}},
			To:   []source.GrantTo{{Group: ref.Group, Kind: ref.Kind}},
		},
	}
}

// TestOtherNamespaces: who may use a source of another namespace, whatever its kind.
func TestOtherNamespaces(t *testing.T) {
	grant := func(change func(*source.Grant)) func(*provision.Input) {
		return func(in *provision.Input) { change(in.Source.Grants[0]) }
	}
	to := func(change func(*source.GrantTo)) func(*provision.Input) {
		return grant(func(g *source.Grant) { change(&g.Spec.To[0]) })
	}
	from := func(change func(*source.GrantFrom)) func(*provision.Input) {
		return grant(func(g *source.Grant) { change(&g.Spec.From[0]) })
	}
	named := func(name string) func(*provision.Input) {
		return to(func(to *source.GrantTo) { to.Name = &name })
	}
	const denied = "no ReferenceGrant of namespace \"team-b\""
	cases := func(name string) map[string]sourceCase {
		return map[string]sourceCase{
			"granted":            {func(*provision.Input) {}, ""},
			"granted by name":    {named(name), ""},
			"empty name":         {named(""), ""},
			"other name":         {named("other"), denied},
			"part of the name":   {named(name[:2]), denied},
			"no grant":           {func(in *provision.Input) { in.Source.Grants = nil }, denied},
			"empty grant":        {grant(func(g *source.Grant) { g.Spec = source.GrantSpec{} }), denied},
			"to nothing":         {grant(func(g *source.Grant) { g.Spec.To = nil }), denied},
			"from nowhere":       {grant(func(g *source.Grant) { g.Spec.From = nil }), denied},
			"grant of elsewhere": {grant(func(g *source.Grant) { g.Namespace = "team-a" }), denied},
			"from elsewhere":     {from(func(f *source.GrantFrom) { f.Namespace = "team-c" }), denied},
			"from other kind":    {from(func(f *source.GrantFrom) { f.Kind = "Pod" }), denied},
			"from other group":   {from(func(f *source.GrantFrom) { f.Group = "example.com" }), denied},
			"to other kind":      {to(func(to *source.GrantTo) { to.Kind = "Secret" }), denied},
			"to other group":     {to(func(to *source.GrantTo) { to.Group = "example.com" }), denied},
			"second grant": {func(in *provision.Input) {
				in.Source.Grants = append([]*source.Grant{{}}, in.Source.Grants...)
			}, ""},
			"second from and to": {grant(func(g *source.Grant) {
				g.Spec.From = append([]source.GrantFrom{{Kind: "Pod", Namespace: "team-a"}}, g.Spec.From...)
				g.Spec.To = append([]source.GrantTo{{Kind: "Pod"}}, g.Spec.To...)
			}), ""},
			"halves of two grants": {func(in *provision.Input) {
				half := *in.Source.Grants[0]
				half.Spec.To, in.Source.Grants[0].Spec.From = nil, nil
				in.Source.Grants = append(in.Source.Grants, &half)
			}, denied},
			"grants unknown": {func(in *provision.Input) { in.Source = provision.Source{Err: errors.New("no such kind")} }, "no such kind"},
			"gate off":       {func(in *provision.Input) { in.Options.CrossNamespaceVolumeDataSource = false }, "--feature-gates=CrossNamespaceVolumeDataSource=true"},
			"gate off, own namespace": {func(in *provision.Input) {
				in.Claim.Spec.DataSourceRef.Namespace = ptr("team-a")
				in.Options.CrossNamespaceVolumeDataSource = false
			}, "--feature-gates=CrossNamespaceVolumeDataSource=true"},
			"populator, gate off": {func(in *provision.Input) {
				in.Claim.Spec.DataSourceRef.Kind = "Dataset"
				in.Options.CrossNamespaceVolumeDataSource = false
			}, "--feature-gates=CrossNamespaceVolumeDataSource=true"},
			"populator, not granted": {func(in *provision.Input) { in.Claim.Spec.DataSourceRef.Kind = "Dataset" }, denied},
		}
	}
	t.Run("snapshot", func(t *testing.T) { decideAll(t, elsewhere(restoring), "snap-1", cases("daily")) })
	t.Run("claim", func(t *testing.T) { decideAll(t, elsewhere(cloning), "vol-1", cases("original")) })
}

// TestOwnNamespaceNeedsNoGrant: a claim may name its own namespace.
func TestOwnNamespaceNeedsNoGrant(t *testing.T) {
	for name, base := range map[string]func() provision.Input{"snapshot": restoring, "claim": cloning} {
		in := base()
		byReference(&in)
		in.Options.CrossNamespaceVolumeDataSource = true
		in.Claim.Spec.DataSourceRef.Namespace = ptr("team-a")
		if got := provision.Decide(in); got.Verdict != provision.Act {
			t.Errorf("%s: verdict is %s: %v", name, verdicts()[got.Verdict], got.Err)
		}
	}
}

// TestGrantedPopulator: with the grant the claim is left to its populator.
func TestGrantedPopulator(t *testing.T) {
	in := elsewhere(restoring)()
	in.Claim.Spec.DataSourceRef.Kind, in.Source.Grants[0].Spec.To[0].Kind = "Dataset", "Dataset"
	if got := provision.Decide(in); got.Verdict != provision.Leave {
		t.Errorf("verdict is %s: %v", verdicts()[got.Verdict], got.Err)
	}
}

// TestWantsSource: sources are read only where the decision depends on them.
func TestWantsSource(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*provision.Input)
		want   bool
	}{
		"wanted":        {func(*provision.Input) {}, true},
		"no source":     {func(in *provision.Input) { in.Claim.Spec.DataSource = nil }, false},
		"bound":         {func(in *provision.Input) { in.Claim.Spec.VolumeName = "pv" }, false},
		"class missing": {func(in *provision.Input) { in.Class = nil }, false},
		"other driver":  {func(in *provision.Input) { in.Class.Provisioner = "x" }, false},
		"out of reach": {func(in *provision.Input) {
			byReference(in)
			in.Claim.Spec.DataSourceRef.Namespace = ptr("team-b")
		}, false},
	} {
		in := restoring()
		test.change(&in)
		ref, got := provision.WantsSource(in)
		if got != test.want || got && ref.Key != (source.Key{Kind: "VolumeSnapshot", Namespace: "team-a", Name: "daily"}) {
			t.Errorf("%s: wants %v: %t", name, ref, got)
		}
	}
}

// TestFilledFromSomethingElse: a volume whose data is not what was asked for is
// deleted.
func TestFilledFromSomethingElse(t *testing.T) {
	snapshot := &csipb.VolumeContentSource{Type: &csipb.VolumeContentSource_Snapshot{Snapshot: &csipb.VolumeContentSource_SnapshotSource{SnapshotId: "snap-1"}}}
	other := &csipb.VolumeContentSource{Type: &csipb.VolumeContentSource_Snapshot{Snapshot: &csipb.VolumeContentSource_SnapshotSource{SnapshotId: "the same, in other words"}}}
	volume := &csipb.VolumeContentSource{Type: &csipb.VolumeContentSource_Volume{Volume: &csipb.VolumeContentSource_VolumeSource{VolumeId: "vol-1"}}}
	for name, test := range map[string]struct {
		base   func() provision.Input
		answer *csipb.VolumeContentSource
		words  string
	}{
		"restored":                    {restoring, snapshot, ""},
		"restored, in other words":    {restoring, other, ""},
		"restored, and nothing said":  {restoring, nil, "from nothing where one from a snapshot"},
		"restored, kind not said":     {restoring, &csipb.VolumeContentSource{}, "from nothing where one from a snapshot"},
		"cloned instead of restored":  {restoring, volume, "from another volume where one from a snapshot"},
		"cloned":                      {cloning, volume, ""},
		"restored instead of cloned":  {cloning, snapshot, "from a snapshot where one from another volume"},
		"empty":                       {wanting, nil, ""},
		"empty, and a source is told": {wanting, snapshot, ""},
	} {
		t.Run(name, func(t *testing.T) {
			plan := provision.Decide(test.base()).Plan
			got := provision.Conclude(plan, &csipb.CreateVolumeResponse{Volume: &csipb.Volume{VolumeId: "new", ContentSource: test.answer}})
			switch {
			case test.words == "" && (got.Volume == nil || got.Err != nil):
				t.Errorf("there is no volume: %v", got.Err)
			case test.words != "" && (got.Volume != nil || got.Discard != "new" || !strings.Contains(got.Err.Error(), test.words)):
				t.Errorf("got %v, discarding %q, want to discard with %q", got.Err, got.Discard, test.words)
			}
		})
	}
}
