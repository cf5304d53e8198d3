// Package names holds the strings that other programs know this one by:
// annotations, finalizers, labels, parameter keys and event reasons. They are
// the wire format shared with Kubernetes, with drivers and with the sidecars
// that this project replaces; changing one breaks a running cluster.
//
// The package imports nothing and every other package may import it.
package names

// Annotations on claims.
const (
	// StorageProvisioner names the driver that shall provision a claim; it is
	// written by kube-controller-manager.
	StorageProvisioner = "volume.kubernetes.io/storage-provisioner"
	// StorageProvisionerBeta is the older name of [StorageProvisioner]; it is
	// read only where the newer one is absent.
	StorageProvisionerBeta = "volume.beta.kubernetes.io/storage-provisioner"
	// StorageClassBeta names the class of a claim; it wins over
	// spec.storageClassName.
	StorageClassBeta = "volume.beta.kubernetes.io/storage-class"
	// SelectedNode names the node that the scheduler has chosen for the first
	// pod of a claim whose class has WaitForFirstConsumer.
	SelectedNode = "volume.kubernetes.io/selected-node"
	// SelectedNodeAlpha is the older name of [SelectedNode].
	SelectedNodeAlpha = "volume.alpha.kubernetes.io/selected-node"
)

// Annotations on volumes.
const (
	// ProvisionedBy names the driver that provisioned a volume.
	ProvisionedBy = "pv.kubernetes.io/provisioned-by"
	// MigratedTo names the driver that has taken over an in-tree volume or
	// claim.
	MigratedTo = "pv.kubernetes.io/migrated-to"
	// DeletionSecretName and DeletionSecretNamespace refer to the Secret for
	// DeleteVolume. Both are always written; empty means that none is needed.
	DeletionSecretName = "volume.kubernetes.io/provisioner-deletion-secret-name"
	// DeletionSecretNamespace: see [DeletionSecretName].
	DeletionSecretNamespace = "volume.kubernetes.io/provisioner-deletion-secret-namespace"
	// ModifySecretName and ModifySecretNamespace refer to the Secret for
	// ControllerModifyVolume; absent when the class names none.
	ModifySecretName = "volume.kubernetes.io/controller-modify-secret-name"
	// ModifySecretNamespace: see [ModifySecretName].
	ModifySecretNamespace = "volume.kubernetes.io/controller-modify-secret-namespace"
)

// AllowModeChange lets the snapshot of a VolumeSnapshotContent that has this
// annotation, with the value "true", be restored to a volume of another mode
// (KEP-3141).
const AllowModeChange = "snapshot.storage.kubernetes.io/allow-volume-mode-change"

// SnapshotManagedBy is the label of a VolumeSnapshotContent that names the node whose
// csi-snapshotter looks after it, where there is one on each node.
const SnapshotManagedBy = "snapshot.storage.kubernetes.io/managed-by"

// Finalizers.
const (
	// VolumeFinalizer keeps a PersistentVolume until DeleteVolume has succeeded
	// (KEP-2644, "honour the PV reclaim policy").
	VolumeFinalizer = "external-provisioner.volume.kubernetes.io/finalizer"
	// SnapshotFinalizer keeps a VolumeSnapshot while volumes are made from it.
	SnapshotFinalizer = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"
	// CloneFinalizer keeps a claim while its volume is cloned.
	CloneFinalizer = "provisioner.storage.kubernetes.io/cloning-protection"
)

// Parameters of a StorageClass, and of CreateVolumeRequest.parameters.
const (
	// ParameterPrefix is reserved for the sidecars: no key under it reaches the
	// driver but those that the sidecar adds itself.
	ParameterPrefix = "csi.storage.k8s.io/"
	// ParameterFSType names the file system of a volume.
	ParameterFSType = ParameterPrefix + "fstype"
	// ParameterFSTypeDeprecated is the older name of [ParameterFSType], matched
	// in any letter case and passed on to the driver.
	ParameterFSTypeDeprecated = "fstype"
	// MetadataClaimName, MetadataClaimNamespace and MetadataVolumeName are added
	// to the request with --extra-create-metadata.
	MetadataClaimName = ParameterPrefix + "pvc/name"
	// MetadataClaimNamespace: see [MetadataClaimName].
	MetadataClaimNamespace = ParameterPrefix + "pvc/namespace"
	// MetadataVolumeName: see [MetadataClaimName].
	MetadataVolumeName = ParameterPrefix + "pv/name"
)

// ProvisionerIdentity is the volume attribute that tells which process made a
// volume.
const ProvisionerIdentity = "storage.kubernetes.io/csiProvisionerIdentity"

// Reasons of events; [Events] describes all of them.
const (
	ReasonProvisioning          = "Provisioning"
	ReasonProvisioningSucceeded = "ProvisioningSucceeded"
	ReasonProvisioningFailed    = "ProvisioningFailed"
	ReasonVolumeFailedDelete    = "VolumeFailedDelete"
)

// Expanding a volume.
const (
	// StorageResizer names the driver that shall expand a claim's volume where
	// that is not the volume's own: kube-controller-manager writes it on claims
	// with a migrated in-tree volume.
	StorageResizer = "volume.kubernetes.io/storage-resizer"
	// NodeExpansionNotRequired, on a claim, tells the kubelet that the driver has
	// done all there was to do; its value is "true" (KEP-1790).
	NodeExpansionNotRequired = "volume.kubernetes.io/node-expansion-not-required"
	// PreResizeCapacity, on a volume, is the size before an expansion that its
	// node has still to finish. A claim that is bound to the volume meanwhile
	// starts with it.
	PreResizeCapacity = "volume.alpha.kubernetes.io/pre-resize-capacity"

	ReasonResizing                 = "Resizing"
	ReasonFileSystemResizeRequired = "FileSystemResizeRequired"
	ReasonVolumeResizeSuccessful   = "VolumeResizeSuccessful"
	ReasonVolumeResizeFailed       = "VolumeResizeFailed"
)

// Modifying a volume.
const (
	// ConditionWaitingForRetry is the reason of a claim's condition
	// ModifyingVolume when the driver's last call is over and has failed.
	ConditionWaitingForRetry = "WaitingForRetry"

	ReasonVolumeModify           = "VolumeModify"
	ReasonVolumeModifySuccessful = "VolumeModifySuccessful"
	ReasonVolumeModifyCanceled   = "VolumeModifyCanceled"
	ReasonVolumeModifyFailed     = "VolumeModifyFailed"
)

// The journal of volumes in creation: ConfigMaps in the sidecar's namespace.
const (
	// JournalPrefix begins their names.
	JournalPrefix = "csi-provisioner-journal-"
	// JournalKey is the name of the Secret with the key that signs them.
	JournalKey = "csi-provisioner-journal-key"
	// JournalLabel is their label; its value is the driver's name.
	JournalLabel = "csi-provisioner/journal"
	// JournalNodeLabel is a second label in node deployment; its value stands for
	// the node.
	JournalNodeLabel = "csi-provisioner/journal-node"
	// VeleroExclude is the label by which Velero leaves an object out of backups.
	VeleroExclude = "velero.io/exclude-from-backup"

	ReasonJournalUnavailable = "JournalUnavailable"
	ReasonJournalUnreadable  = "JournalUnreadable"
	ReasonJournalSetAside    = "JournalRecordSetAside"
)
