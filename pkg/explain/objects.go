package explain

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// Objects are those of a cluster, as manifests describe it. The zero value is empty.
type Objects struct {
	// Claims are in the order of the manifests.
	Claims []*corev1.PersistentVolumeClaim

	classes       []*storagev1.StorageClass
	attributes    []*storagev1.VolumeAttributesClass
	volumes       []*corev1.PersistentVolume
	nodes         []*corev1.Node
	registrations []*storagev1.CSINode
	snapshots     []*source.Snapshot
	contents      []*source.Content
	grants        []*source.Grant
}

// defaultNamespace is that of claims and snapshots that name none.
const defaultNamespace = "default"

// Read adds the objects of a file, as YAML or JSON; what has no bearing on volumes
// is left out. The error names the file and the object.
func (o *Objects) Read(file string, content io.Reader) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(content))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if err := o.add(document); err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
	}
}

// header is what tells the kind of an object; items are those of a list.
type header struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Items           []json.RawMessage `json:"items"`
}

func (o *Objects) add(document []byte) error {
	var is header
	if err := yaml.Unmarshal(document, &is); err != nil {
		return err
	}
	if strings.HasSuffix(is.Kind, "List") {
		for _, item := range is.Items {
			if err := o.add(item); err != nil {
				return err
			}
		}
		return nil
	}
	if err := o.addKind(is.GroupVersionKind().Group+"/"+is.Kind, document); err != nil {
		return fmt.Errorf("%s %q: %w", is.Kind, is.Metadata.Name, err)
	}
	return nil
}

func (o *Objects) addKind(kind string, document []byte) error {
	switch kind {
	case "/PersistentVolumeClaim":
		return collect(&o.Claims, document, yaml.UnmarshalStrict)
	case "/PersistentVolume":
		return collect(&o.volumes, document, yaml.UnmarshalStrict)
	case "/Node":
		return collect(&o.nodes, document, yaml.UnmarshalStrict)
	case "storage.k8s.io/StorageClass":
		return collect(&o.classes, document, yaml.UnmarshalStrict)
	case "storage.k8s.io/VolumeAttributesClass":
		return collect(&o.attributes, document, yaml.UnmarshalStrict)
	case "storage.k8s.io/CSINode":
		return collect(&o.registrations, document, yaml.UnmarshalStrict)
	// Of these, the types hold only what matters.
	case source.SnapshotGroup + "/VolumeSnapshot":
		return collect(&o.snapshots, document, yaml.Unmarshal)
	case source.SnapshotGroup + "/VolumeSnapshotContent":
		return collect(&o.contents, document, yaml.Unmarshal)
	case "gateway.networking.k8s.io/ReferenceGrant":
		return collect(&o.grants, document, yaml.Unmarshal)
	}
	return nil
}

func collect[T any](all *[]*T, document []byte, read func([]byte, any, ...yaml.JSONOpt) error) error {
	object := new(T)
	if err := read(document, object); err != nil {
		return err
	}
	*all = append(*all, object)
	return nil
}

// find returns the last object of that name, in a namespace if it has one; nil when
// there is none.
func find[T metav1.Object](all []T, namespace, name string) (found T) {
	for _, object := range all {
		if object.GetName() == name && (namespace == "" || cmp.Or(object.GetNamespace(), defaultNamespace) == namespace) {
			found = object
		}
	}
	return found
}
