// Package records writes records of the journal as others than the sidecar do: whoever may
// create ConfigMaps, and who restores a backup. See docs/adr/0008-records.md.
package records

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Terms is the key of a batch's topology terms. All other keys are the UIDs of claims.
const Terms = "topology"

// Record is the JSON of one.
type Record map[string]any

// Text returns the JSON of a value.
func Text(value []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(value))
	if err != nil {
		return nil, fmt.Errorf("decompressing a record: %w", err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("decompressing a record: %w", err)
	}
	return text, nil
}

// Read returns what a value says.
func Read(value []byte) (Record, error) {
	text, err := Text(value)
	if err != nil {
		return nil, err
	}
	var record Record
	if err := json.Unmarshal(text, &record); err != nil {
		return nil, fmt.Errorf("reading a record: %w", err)
	}
	return record, nil
}

// Unsigned is a value that nobody has signed.
func Unsigned(record any) ([]byte, error) { return write(record, "") }

// Signed is a value as the sidecar with that key writes it, in a batch of that name.
func Signed(secret []byte, batch, key string, record any) ([]byte, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing a record: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	for _, part := range []string{"csi-provisioner/journal/1", batch, key} {
		mac.Write(append([]byte(part), 0))
	}
	mac.Write(text)
	return write(json.RawMessage(text), base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func write(record any, comment string) ([]byte, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing a record: %w", err)
	}
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	writer.Comment = comment
	if _, err := writer.Write(text); err != nil {
		return nil, fmt.Errorf("compressing a record: %w", err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("compressing a record: %w", err)
	}
	return buffer.Bytes(), nil
}

// Forgery is what a record says that the sidecar has not written.
type Forgery struct {
	// Claim is the one that it is about.
	Claim corev1.ObjectReference
	// Volume is the name of the volume to be created for it, and Removed the handle of
	// one to be deleted, if any.
	Volume, Removed string
	// Secret is one that no class names, or empty.
	Secret corev1.SecretReference
}

// Forge returns a record like a genuine one, but for what it says. Nobody has signed it.
func Forge(genuine []byte, f Forgery) ([]byte, error) {
	record, err := Read(genuine)
	if err != nil {
		return nil, err
	}
	record["claim"] = map[string]any{"namespace": f.Claim.Namespace, "name": f.Claim.Name, "uid": string(f.Claim.UID)}
	delete(record, "useless")
	if f.Removed != "" {
		record["useless"] = f.Removed
	}
	for _, plan := range record["plans"].([]any) {
		plan := plan.(map[string]any)
		delete(plan, "secret")
		if f.Secret.Name != "" {
			plan["secret"] = map[string]any{"Namespace": f.Secret.Namespace, "Name": f.Secret.Name}
		}
		plan["request"].(map[string]any)["name"] = f.Volume
		plan["volume"].(map[string]any)["metadata"].(map[string]any)["name"] = f.Volume
	}
	return Unsigned(record)
}

// Attack returns records, by their keys, that want a volume deleted, whether they know its
// name or not, given to nobody's claim, and given to the attacker's claim.
func Attack(genuine []byte, attacker corev1.ObjectReference, volume, handle string) (map[string][]byte, error) {
	nobody := corev1.ObjectReference{Namespace: attacker.Namespace, Name: "nobody"}
	deletes, guesses, takes := nobody, nobody, nobody
	deletes.UID, guesses.UID, takes.UID = types.UID("deletes-"+volume), types.UID("guesses-"+volume), types.UID("takes-"+volume)
	secret := corev1.SecretReference{Namespace: "kube-system", Name: "admin"}
	forged := map[string][]byte{}
	for _, f := range []Forgery{
		{Claim: deletes, Volume: volume, Removed: handle, Secret: secret},
		{Claim: guesses, Volume: "pvc-guesses-" + volume, Removed: handle},
		{Claim: takes, Volume: volume, Secret: secret},
		{Claim: attacker, Volume: volume, Removed: handle},
	} {
		value, err := Forge(genuine, f)
		if err != nil {
			return nil, err
		}
		forged[string(f.Claim.UID)] = value
	}
	return forged, nil
}
