package volume_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

func open(t *testing.T, dir string) *volume.Store {
	t.Helper()
	store, err := volume.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func id(n int) string { return fmt.Sprintf("vol-%016x", n) }

func TestStoreKeepsVolumesAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	want := volume.Volume{ID: id(1), Name: "one", CapacityBytes: 5, Parameters: map[string]string{"a": "b"}}
	if err := open(t, dir).Create(want); err != nil {
		t.Fatal(err)
	}

	again := open(t, dir)
	got, err := again.ByName("one")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("volume after a restart (-want +got):\n%s", diff)
	}
	if err := again.Delete(want.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := again.ByName("one"); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("by name after delete: %v, want ErrNotFound", err)
	}
	if _, err := open(t, dir).Get(want.ID); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("get after delete and restart: %v, want ErrNotFound", err)
	}
}

func TestStoreSeesTheChangesOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	controller, node := open(t, dir), open(t, dir)
	if err := controller.Create(volume.Volume{ID: id(1), Name: "one", CapacityBytes: 1}); err != nil {
		t.Fatal(err)
	}
	for want := int64(1); want < 20; want++ {
		got, err := node.Get(id(1))
		if err != nil {
			t.Fatal(err)
		}
		if got.CapacityBytes != want {
			t.Fatalf("the node sees %d bytes, want %d", got.CapacityBytes, want)
		}
		expand := func(v *volume.Volume) error { v.CapacityBytes++; return nil }
		if _, err := controller.Update(id(1), expand); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoreUpdatesAreAtomic(t *testing.T) {
	dir := t.TempDir()
	stores := []*volume.Store{open(t, dir), open(t, dir)}
	if err := stores[0].Create(volume.Volume{ID: id(1), Name: "one"}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			_, err := stores[n%2].Update(id(1), func(v *volume.Volume) error { v.CapacityBytes++; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := stores[0].Get(id(1))
	if err != nil {
		t.Fatal(err)
	}
	if got.CapacityBytes != 40 {
		t.Errorf("40 additions made %d", got.CapacityBytes)
	}
}

func TestStoreFailedUpdateChangesNothing(t *testing.T) {
	store := open(t, t.TempDir())
	before := volume.Volume{ID: id(1), Name: "one", Attachments: map[string]volume.Attachment{"a": {}}}
	if err := store.Create(before); err != nil {
		t.Fatal(err)
	}
	refuse := errors.New("no")
	_, err := store.Update(id(1), func(v *volume.Volume) error {
		v.Attachments["b"] = volume.Attachment{}
		return refuse
	})
	if !errors.Is(err, refuse) {
		t.Errorf("update: %v, want %v", err, refuse)
	}
	got, err := store.Get(id(1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, got); diff != "" {
		t.Errorf("after a failed update (-want +got):\n%s", diff)
	}
}

func TestStoreIDsNeverLeaveTheDirectory(t *testing.T) {
	parent := t.TempDir()
	if err := os.WriteFile(filepath.Join(parent, "other.json"), []byte(`{"id":"other"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	store := open(t, filepath.Join(parent, "volumes"))
	for _, id := range []string{"../other", "", "other", "vol-../../x"} {
		if _, err := store.Get(id); !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("get %q: %v, want ErrNotFound", id, err)
		}
	}
}
