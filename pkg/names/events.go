package names

// The types of events, as Kubernetes has them.
const (
	EventNormal  = "Normal"
	EventWarning = "Warning"
)

// Event describes the events that have a reason.
type Event struct {
	Reason string
	// Type is EventNormal or EventWarning.
	Type string
	// Object is what the event is about, and When it is sent.
	Object, When string
	// Fix is what to do; empty where nothing is wrong.
	Fix string
}

// Events returns all events that the program sends, in the order in which they are
// documented.
func Events() []Event { return append(volumeEvents(), journalEvents()...) }

// volumeEvents are those about claims, volumes and classes.
func volumeEvents() []Event {
	return []Event{
		{
			Reason: ReasonStorageCapacityFailed, Type: EventWarning, Object: "a class",
			When: "the driver has not told how much capacity there is for it somewhere",
			Fix:  "what the driver's error says; it is asked again after a back-off",
		},
		{
			Reason: ReasonProvisioning, Type: EventNormal, Object: "a claim",
			When: "the work on its volume begins, or is left to a volume populator",
		},
		{
			Reason: ReasonProvisioningSucceeded, Type: EventNormal, Object: "a claim",
			When: "the PersistentVolume is stored",
		},
		{
			Reason: ReasonProvisioningFailed, Type: EventWarning, Object: "a claim",
			When: "an attempt has failed",
			Fix:  "what the text names in the claim, its class, a Secret or the rights of the sidecar; what is watched is tried again at once, all else after a back-off",
		},
		{
			Reason: ReasonVolumeFailedDelete, Type: EventWarning, Object: "a volume",
			When: "a deletion has failed",
			Fix:  "what the text names; it is tried again until the driver has deleted the volume",
		},
		{
			Reason: ReasonResizing, Type: EventNormal, Object: "a claim",
			When: "an expansion begins",
		},
		{
			Reason: ReasonFileSystemResizeRequired, Type: EventNormal, Object: "a claim",
			When: "the driver has done its part, the node's is still to be done",
		},
		{
			Reason: ReasonVolumeResizeSuccessful, Type: EventNormal, Object: "a claim",
			When: "the volume is expanded, and the node has nothing to do",
		},
		{
			Reason: ReasonVolumeResizeFailed, Type: EventWarning, Object: "a claim",
			When: "an attempt has failed, or something about it wants attention",
			Fix:  "what the text names; if the driver can't make a volume of that size, request another one",
		},
		{
			Reason: ReasonVolumeModify, Type: EventNormal, Object: "a claim",
			When: "the driver is asked for a VolumeAttributesClass for the first time",
		},
		{
			Reason: ReasonVolumeModifySuccessful, Type: EventNormal, Object: "a claim",
			When: "the volume has got its VolumeAttributesClass",
		},
		{
			Reason: ReasonVolumeModifyCanceled, Type: EventNormal, Object: "a claim",
			When: "a VolumeAttributesClass that it asked for is no longer asked for",
		},
		{
			Reason: ReasonVolumeModifyFailed, Type: EventWarning, Object: "a claim",
			When: "an attempt has failed, or can't be made",
			Fix:  "make the VolumeAttributesClass that the text names, or name another one in the claim",
		},
	}
}

// journalEvents are those about the journal of volumes in creation.
func journalEvents() []Event {
	return []Event{
		{
			Reason: ReasonJournalUnavailable, Type: EventWarning, Object: "the sidecar's own pod",
			When: "volumes can't be recorded before they are created",
			Fix:  "grant the rights for ConfigMaps of deploy/kubernetes/rbac.yaml, or set --provisioning-journal=off",
		},
		{
			Reason: ReasonJournalSetAside, Type: EventWarning, Object: "the sidecar's own pod",
			When: "a record of a volume in creation is not acted upon, and is kept: it comes from a backup, from another cluster, or from somebody else than the sidecar",
			Fix:  "find it with csi-provisioner audit, and confirm or discard it there; see docs/audit.md",
		},
		{
			Reason: ReasonJournalUnreadable, Type: EventWarning, Object: "the sidecar's own pod",
			When: "a record of a volume in creation can't be read, and is kept",
			Fix:  "run the version of the sidecar that has written it, on the node that the text names; or find the volume with csi-provisioner audit, take care of it, and discard the record there; see docs/audit.md",
		},
	}
}
