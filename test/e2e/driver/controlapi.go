package driver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

// controlHandler answers the control API, which the package control documents.
func (d *Driver) controlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			result, err := answer(r)
			reply(w, result, err)
		})
	}
	handle("GET /info", func(*http.Request) (any, error) {
		return control.Info{
			Name: d.options.Name, NodeID: d.options.NodeID, Backend: d.backend.Kind(), PID: os.Getpid(),
		}, nil
	})
	handle("GET /rules", func(*http.Request) (any, error) { return d.rules.List(), nil })
	handle("POST /rules", d.addRule)
	handle("DELETE /rules", func(*http.Request) (any, error) { d.rules.Clear(); return nil, nil })
	handle("DELETE /rules/{id}", func(r *http.Request) (any, error) { return nil, d.rules.Remove(r.PathValue("id")) })
	handle("GET /calls", d.listCalls)
	handle("DELETE /calls", func(*http.Request) (any, error) { return nil, d.calls.Clear(os.Getpid()) })
	handle("GET /volumes", d.listVolumes)
	return mux
}

func (d *Driver) addRule(r *http.Request) (any, error) {
	var rule control.Rule
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rule); err != nil {
		return nil, fmt.Errorf("decoding the rule: %w", err)
	}
	return d.rules.Add(rule)
}

func (d *Driver) listCalls(r *http.Request) (any, error) {
	query := r.URL.Query()
	filter, err := control.ParseFilter(query)
	if err != nil {
		return nil, err
	}
	atLeast := 0
	if text := query.Get("min"); text != "" {
		if atLeast, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("parsing min: %w", err)
		}
	}
	return d.calls.Wait(r.Context(), filter, atLeast)
}

func (d *Driver) listVolumes(*http.Request) (any, error) {
	all, err := d.volumes.List()
	if err != nil {
		return nil, err
	}
	told := make([]control.Volume, 0, len(all))
	for _, v := range all {
		told = append(told, tell(v))
	}
	return told, nil
}

// tell is the volume as the control API tells it.
func tell(v volume.Volume) control.Volume {
	return control.Volume{
		ID:                v.ID,
		Name:              v.Name,
		CapacityBytes:     v.CapacityBytes,
		NodeBytes:         v.NodeBytes,
		Block:             v.Block,
		FSType:            v.FSType,
		Parameters:        v.Parameters,
		MutableParameters: v.MutableParameters,
		Topology:          v.Topology,
		SourceSnapshot:    v.Source.Snapshot,
		SourceVolume:      v.Source.Volume,
		AttachedTo:        nodesOf(v),
		StagedAt:          v.Staged,
		PublishedAt:       slices.Sorted(maps.Keys(v.Published)),
		Protected:         v.Protection.Stage || v.Protection.Expand,
		Enrolled:          v.Protection.Hash != nil,
	}
}

func reply(w http.ResponseWriter, result any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if result == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// The only way to fail is that the client has gone.
	_ = json.NewEncoder(w).Encode(result)
}
