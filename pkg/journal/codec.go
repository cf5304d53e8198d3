package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

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

// entry is the content of one key of a batch: JSON in the format of gzip, for people to
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
	// Of and Written: see [Origin].
	Of      Installation `json:"of,omitzero"`
	Written int64        `json:"written,omitempty"`
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
	if err := e.check(); err != nil {
		return nil, err
	}
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

// packer compresses and signs the values of one batch at a time. It is kept, as what it
// needs to work takes about a megabyte.
type packer struct {
	// plain leaves small texts as they are, small makes others smaller.
	plain, small *gzip.Writer
	signer       *Signer
	of           Installation
	// batch is its name, and written when it is written.
	batch   string
	written time.Time
}

func newPacker(of Installation) *packer {
	return &packer{plain: newWriter(gzip.NoCompression), small: newWriter(gzip.BestSpeed), of: of}
}

func newWriter(level int) *gzip.Writer {
	writer, err := gzip.NewWriterLevel(io.Discard, level)
	if err != nil {
		panic(err) // there are these levels
	}
	return writer
}

// smallText is the size up to which it does not pay to compress a text, in bytes: claims
// wait for it, and the record is gone after a moment.
const smallText = 4 << 10

// writerFor returns the one for a text. What it writes is in the format of gzip anyway.
func (p *packer) writerFor(text []byte) *gzip.Writer {
	if len(text) <= smallText {
		return p.plain
	}
	return p.small
}

// begin takes up another batch.
func (p *packer) begin(batch string, now time.Time, signer *Signer) {
	p.batch, p.written, p.signer = batch, now, signer
}

// pack returns the value of a key as compressed JSON. The signature is in the header that
// gzip has for a comment (RFC 1952), where programs that do not know of it ignore it.
func (p *packer) pack(key string, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	var size measure
	_, _ = size.Write(text) // never fails
	if size.check(maxText) != nil {
		return nil, errFull
	}
	var buffer bytes.Buffer
	writer := p.writerFor(text)
	writer.Reset(&buffer)
	writer.Comment = p.signer.sign(p.batch, key, text)
	if _, err := writer.Write(text); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return buffer.Bytes(), nil
}

// unpacker reads the values of one batch.
type unpacker struct {
	signer *Signer
	batch  string
	// left is how much text there may still be.
	left int
	// reader decompresses one value after the other; nil before the first.
	reader *gzip.Reader
}

func newUnpacker(signer *Signer, batch string) *unpacker {
	return &unpacker{signer: signer, batch: batch, left: maxBatchText}
}

// unpack is the inverse of [packer.pack], and tells whether the value is signed.
func (u *unpacker) unpack(key string, content []byte, value any) (signed bool, err error) {
	text, signature, err := u.text(content)
	if err != nil {
		return false, fmt.Errorf("decompressing: %w", err)
	}
	if err := json.Unmarshal(text, value); err != nil {
		return false, fmt.Errorf("reading: %w", err)
	}
	return u.signer.isSigned(u.batch, key, text, signature), nil
}

// text decompresses a value, and returns its text with the signature. It is decompressed
// twice: what is beyond the limits is never in memory as a whole.
func (u *unpacker) text(content []byte) (text []byte, signature string, err error) {
	var size measure
	most := min(maxText, u.left)
	if _, err := u.decompress(content, &size, most+1); err != nil {
		return nil, "", err
	}
	if err := size.check(most); err != nil {
		return nil, "", err
	}
	u.left -= size.bytes
	buffer := bytes.NewBuffer(make([]byte, 0, size.bytes))
	signature, err = u.decompress(content, buffer, size.bytes)
	return buffer.Bytes(), signature, err
}

// decompress writes the text of a value, but at most that many bytes, and returns its
// signature.
func (u *unpacker) decompress(content []byte, to io.Writer, most int) (signature string, err error) {
	if u.reader == nil {
		u.reader, err = gzip.NewReader(bytes.NewReader(content))
	} else {
		err = u.reader.Reset(bytes.NewReader(content))
	}
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, io.LimitReader(u.reader, int64(most)))
	return u.reader.Comment, err
}
