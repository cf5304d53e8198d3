package journal

import "time"

// Installation is what writes a journal, and whose volumes its records are about.
type Installation struct {
	// Cluster is the UID of the namespace kube-system; empty where it can't be read.
	Cluster string `json:"cluster,omitempty"`
	// Driver is the CSI driver's name.
	Driver string `json:"driver,omitempty"`
	// Namespace is that of the sidecar.
	Namespace string `json:"namespace,omitempty"`
	// Node is the own one in node deployment.
	Node string `json:"node,omitempty"`
}

// Origin is where a record comes from.
type Origin struct {
	// Signed tells that the record was written by who has the journal's key. Then the
	// other fields are as it was written.
	Signed bool
	// Of is empty in records of versions that did not note it.
	Of Installation
	// Written is when; zero in records of versions that did not note it.
	Written time.Time
}

func (e *entry) origin(signed bool) Origin {
	o := Origin{Signed: signed, Of: e.Of}
	if e.Written > 0 {
		o.Written = time.Unix(e.Written, 0)
	}
	return o
}
