package audit_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
)

// ebs is a driver that has taken the place of an in-tree plugin.
const ebs = "ebs.csi.aws.com"

func object(name string, change func(*corev1.PersistentVolume)) corev1.PersistentVolume {
	volume := corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: ebs, VolumeHandle: "vol-" + name},
			},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}
	change(&volume)
	return volume
}

// serving returns a client whose API server has one volume in each page.
func serving(expire int, objects ...corev1.PersistentVolume) *fake.Clientset {
	client := fake.NewClientset()
	client.PrependReactor("list", "persistentvolumes", func(action clienttesting.Action) (bool, runtime.Object, error) {
		options := action.(clienttesting.ListActionImpl).ListOptions
		if options.Limit == 0 || options.ResourceVersion != "" {
			return true, nil, errors.New("want pages, and what is stored now")
		}
		n, _ := strconv.Atoi(options.Continue)
		if n > 0 && expire > 0 {
			expire--
			return true, nil, apierrors.NewResourceExpired("too old")
		}
		list := &corev1.PersistentVolumeList{Items: objects[n : n+1]}
		if n+1 < len(objects) {
			list.Continue = strconv.Itoa(n + 1)
		}
		return true, list, nil
	})
	return client
}

func TestClusterListsTheDriversVolumes(t *testing.T) {
	of := func(source corev1.PersistentVolumeSource) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeSource = source }
	}
	client := serving(0,
		object("own", func(v *corev1.PersistentVolume) {
			v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "ns", Name: "c", UID: "uid-c"}
		}),
		object("other", func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "other.example" }),
		object("nfs", of(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}})),
		object("migrated", of(corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-0123456789abcdef0"}})),
		object("odd", of(corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "aws://zone/what"}})),
	)
	got, err := audit.NewCluster(client, ebs).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 3 && got[2].Problem != "" {
		got[2].Problem = "some"
	}
	want := []audit.PersistentVolume{
		{Name: "own", UID: "uid", Handle: "vol-own", CapacityBytes: 1 << 30, Claim: &audit.Claim{Namespace: "ns", Name: "c", UID: "uid-c"}},
		{Name: "migrated", UID: "uid", Handle: "vol-0123456789abcdef0", CapacityBytes: 1 << 30},
		{Name: "odd", UID: "uid", Problem: "some", CapacityBytes: 1 << 30},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("PersistentVolumes (-want +got):\n%s", diff)
	}
}

func TestClusterTellsWhatIsBeingDeleted(t *testing.T) {
	released := func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeReleased }
	retained := func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	}
	terminating := func(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{} }
	for name, c := range map[string]struct {
		changes []func(*corev1.PersistentVolume)
		want    bool
	}{
		"bound":                               {nil, false},
		"bound, and somebody has deleted it":  {[]func(*corev1.PersistentVolume){terminating}, false},
		"released":                            {[]func(*corev1.PersistentVolume){released}, true},
		"released, but retained":              {[]func(*corev1.PersistentVolume){released, retained}, false},
		"released, retained, but now deleted": {[]func(*corev1.PersistentVolume){released, retained, terminating}, true},
		"failed":                              {[]func(*corev1.PersistentVolume){func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeFailed }}, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := serving(0, object("a", func(v *corev1.PersistentVolume) {
				for _, change := range c.changes {
					change(v)
				}
			}))
			got, err := audit.NewCluster(client, ebs).List(t.Context())
			if err != nil || len(got) != 1 || got[0].Deleting != c.want {
				t.Errorf("PersistentVolumes are %+v, %v, want deleting %t", got, err, c.want)
			}
		})
	}
}

func TestClusterBeginsAgainWhenTheListIsTooOld(t *testing.T) {
	same := func(*corev1.PersistentVolume) {}
	for _, c := range []struct{ expire, want int }{{2, 2}, {3, 0}} {
		got, err := audit.NewCluster(serving(c.expire, object("a", same), object("b", same)), ebs).List(t.Context())
		if len(got) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("expired %d times: %+v, %v, want %d volumes", c.expire, got, err, c.want)
		}
	}
}
