package compare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

const (
	lookEvery = 250 * time.Millisecond
	// quiet is much longer than the programs wait between two tries.
	quiet = 2 * time.Second
	// patience bounds the time until all is quiet.
	patience = time.Minute
)

// settle waits until nothing changes for a while, and returns what there is then.
func (s *side) settle(ctx context.Context) (map[string]any, error) {
	var last string
	since := time.Now()
	begin := since
	for {
		now, err := s.observe(ctx)
		if err != nil {
			return nil, err
		}
		normal, err := s.aliases.Replace(now)
		if err != nil {
			return nil, err
		}
		text := compact(normal)
		if text != last {
			last, since = text, time.Now()
		}
		if time.Since(since) >= s.scenario.Quiet.or(quiet) {
			return now, nil
		}
		if time.Since(begin) > patience {
			return nil, fmt.Errorf("there is no quiet after %s", patience)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// observe looks at all that is compared.
func (s *side) observe(ctx context.Context) (map[string]any, error) {
	objects, err := s.observeObjects(ctx)
	if err != nil {
		return nil, err
	}
	made, err := s.driver.Control.Volumes(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the driver's volumes: %w", err)
	}
	calls, err := s.driver.Control.Calls(ctx, control.Filter{})
	if err != nil {
		return nil, fmt.Errorf("listing the driver's calls: %w", err)
	}
	s.nameVolumes(made, calls)
	normal, err := normalCalls(calls)
	if err != nil {
		return nil, err
	}
	events, err := s.events(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"objects": objects,
		"calls":   normal,
		"events":  normalEvents(events, s.scenario.EventCounts),
		"driver":  normalVolumes(made),
	}, nil
}

// nameVolumes gives the driver's identifiers of volumes, which are random, the
// volumes' names.
func (s *side) nameVolumes(made []control.Volume, calls []control.Call) {
	for _, volume := range made {
		s.aliases.Add(volume.ID, "handle of "+volume.Name)
	}
	for _, call := range calls {
		if call.VolumeName != "" && call.VolumeID != "" {
			s.aliases.Add(call.VolumeID, "handle of "+call.VolumeName)
		}
	}
}

// normalVolumes tells the volumes that the driver has.
func normalVolumes(made []control.Volume) map[string]any {
	tree := map[string]any{}
	for _, volume := range made {
		tree[cmp.Or(volume.Name, volume.ID)] = volume
	}
	return tree
}

// observeObjects looks at the objects that are the sidecar's matter.
func (s *side) observeObjects(ctx context.Context) (map[string]any, error) {
	tree := map[string]any{}
	for _, kind := range []string{"PersistentVolumeClaim", "PersistentVolume", "CSIStorageCapacity", "VolumeSnapshot", "VolumeSnapshotContent"} {
		if !s.objects.Has(kind) {
			continue
		}
		client, err := s.objects.Of(kind, metav1.NamespaceAll)
		if err != nil {
			return nil, err
		}
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", kind, err)
		}
		for _, object := range list.Items {
			if s.mine(&object) {
				s.aliases.UID(string(object.GetUID()), kindAlias(kind)+" "+object.GetName())
				tree[key(&object)] = normalObject(&object)
			}
		}
	}
	return tree, nil
}

// mine tells whether an object belongs to the side.
func (s *side) mine(object *unstructured.Unstructured) bool {
	driver := s.driverName()
	return object.GetNamespace() == s.id ||
		strings.HasPrefix(object.GetName(), s.id) || strings.HasPrefix(object.GetNamespace(), s.id+"-") ||
		at(object.Object, "spec", "csi", "driver") == driver ||
		at(object.Object, "spec", "driver") == driver ||
		at(object.Object, "spec", "claimRef", "namespace") == s.id ||
		object.GetLabels()["csi.storage.k8s.io/drivername"] == driver
}

// key names an object. A storage capacity, whose name tells nobody anything, is told by
// what it is about.
func key(object *unstructured.Unstructured) string {
	if object.GetKind() != "CSIStorageCapacity" {
		return object.GetKind() + " " + object.GetName()
	}
	return fmt.Sprintf("%s %v %s", object.GetKind(), object.Object["storageClassName"], compact(object.Object["nodeTopology"]))
}

// kindAlias is the word for a kind in the aliases of UIDs.
func kindAlias(kind string) string {
	if kind == "PersistentVolumeClaim" {
		return "claim"
	}
	return kind
}

// events lists those in the side's namespace, and those about its volumes, which
// are in the namespace default.
func (s *side) events(ctx context.Context) ([]corev1.Event, error) {
	own, err := s.stage.Client.CoreV1().Events(s.id).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing events: %w", err)
	}
	elsewhere, err := s.stage.Client.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing events: %w", err)
	}
	about := slices.DeleteFunc(elsewhere.Items, func(event corev1.Event) bool {
		return !strings.Contains(event.Source.Component+event.ReportingController, s.id)
	})
	return append(own.Items, about...), nil
}
