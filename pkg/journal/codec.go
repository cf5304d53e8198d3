package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/encoding/protojson"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// version is that of the format. A program that finds a higher one leaves the
// record alone.
const version = 1

// maxContent bounds what a compressed value may become, so that a broken one
// can't take all the memory.
const maxContent = 64 << 20

// entry is the content of one key of a batch: JSON, compressed, for people to
// read with gunzip.
type entry struct {
	Version    int   `json:"version"`
	Generation int64 `json:"generation"`
	Claim      claim `json:"claim"`
	// Useless, Partial and Forgotten: see [Intent]. Programs that do not know Forgotten
	// ignore it.
	Useless   string      `json:"useless,omitempty"`
	Partial   bool        `json:"partial,omitempty"`
	Forgotten bool        `json:"forgotten,omitempty"`
	Plans     []planEntry `json:"plans"`
	// Replaces are the batches whose records of the claim this one takes the place of.
	// Programs that do not know it go by the generation.
	Replaces []string `json:"replaces,omitempty"`
}

type claim struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
}

// planEntry is a [provision.Plan]. The request is the message's JSON without the
// topology requirement, which refers to the terms of the batch.
type planEntry struct {
	Request      json.RawMessage          `json:"request"`
	Topology     *requirementEntry        `json:"topology,omitempty"`
	Secret       *secrets.Ref             `json:"secret,omitempty"`
	Volume       *corev1.PersistentVolume `json:"volume"`
	Source       *source.Object           `json:"source,omitempty"`
	UsesTopology bool                     `json:"usesTopology,omitempty"`
	Reschedule   bool                     `json:"reschedule,omitempty"`
}

// encode returns the entry of an intent, whose topology is in the table; without
// a table the intent becomes partial.
func encode(intent *Intent, generation int64, terms *table) (*entry, error) {
	e := &entry{
		Version: version, Generation: generation,
		Claim:   claim{intent.Claim.Namespace, intent.Claim.Name, intent.Claim.UID},
		Useless: intent.Useless,
		Partial: intent.Partial || terms == nil, Forgotten: intent.Forgotten,
	}
	for _, plan := range intent.Plans {
		request := provision.WithoutTopology(plan.Request)
		if len(request.GetSecrets()) > 0 {
			return nil, errors.New("the request holds secrets")
		}
		content, err := protojson.Marshal(request)
		if err != nil {
			return nil, fmt.Errorf("writing the request: %w", err)
		}
		next := planEntry{
			Request: content, Secret: plan.Secret, Volume: plan.Volume, Source: plan.Source,
			UsesTopology: plan.UsesTopology, Reschedule: plan.Reschedule,
		}
		if terms != nil && plan.Request.GetAccessibilityRequirements() != nil {
			next.Topology = terms.encode(plan.Request.GetAccessibilityRequirements())
		}
		e.Plans = append(e.Plans, next)
	}
	return e, nil
}

// decode is the inverse of encode.
func (e *entry) decode(terms []*csipb.Topology) (*Intent, error) {
	intent := &Intent{
		Claim:   kube.ClaimKey{Namespace: e.Claim.Namespace, Name: e.Claim.Name, UID: e.Claim.UID},
		Useless: e.Useless,
		Partial: e.Partial, Forgotten: e.Forgotten,
	}
	if len(e.Plans) == 0 || e.Claim.UID == "" {
		return nil, errors.New("there is no plan or no claim in it")
	}
	for _, from := range e.Plans {
		plan := &provision.Plan{
			Request: &csipb.CreateVolumeRequest{}, Secret: from.Secret, Volume: from.Volume, Source: from.Source,
			UsesTopology: from.UsesTopology, Reschedule: from.Reschedule,
		}
		// Fields that a newer program has written would be lost.
		if err := protojson.Unmarshal(from.Request, plan.Request); err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		if plan.Request.GetName() == "" || plan.Volume == nil {
			return nil, errors.New("there is no volume name or no PersistentVolume in it")
		}
		if from.Topology != nil {
			requirement, err := from.Topology.decode(terms)
			if err != nil {
				return nil, err
			}
			plan.Request.AccessibilityRequirements = requirement
		}
		intent.Plans = append(intent.Plans, plan)
	}
	return intent, nil
}

// packer compresses. It is kept, as what it needs to work takes about a megabyte.
type packer struct{ writer *gzip.Writer }

func newPacker() *packer { return &packer{gzip.NewWriter(io.Discard)} }

// pack returns the value as compressed JSON.
func (p *packer) pack(value any) ([]byte, error) {
	var buffer bytes.Buffer
	p.writer.Reset(&buffer)
	if err := json.NewEncoder(p.writer).Encode(value); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if err := p.writer.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return buffer.Bytes(), nil
}

// unpack is the inverse of [packer.pack].
func unpack(content []byte, value any) error {
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(reader, maxContent+1))
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	if len(text) > maxContent {
		return fmt.Errorf("decompressing: it is longer than %d bytes", maxContent)
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	return nil
}
