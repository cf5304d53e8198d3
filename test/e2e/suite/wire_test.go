package suite

// The strings by which the sidecar is known are written out here once more: a
// test that took them from the program would not notice when they change.
const (
	storageProvisioner      = "volume.kubernetes.io/storage-provisioner"
	migratedTo              = "pv.kubernetes.io/migrated-to"
	provisionedBy           = "pv.kubernetes.io/provisioned-by"
	provisionerIdentity     = "storage.kubernetes.io/csiProvisionerIdentity"
	deletionSecretName      = "volume.kubernetes.io/provisioner-deletion-secret-name"
	deletionSecretNamespace = "volume.kubernetes.io/provisioner-deletion-secret-namespace"
	modifySecretName        = "volume.kubernetes.io/controller-modify-secret-name"
	modifySecretNamespace   = "volume.kubernetes.io/controller-modify-secret-namespace"
	volumeFinalizer         = "external-provisioner.volume.kubernetes.io/finalizer"

	reasonProvisioning = "Provisioning"
	reasonSucceeded    = "ProvisioningSucceeded"
	reasonFailed       = "ProvisioningFailed"
	reasonFailedDelete = "VolumeFailedDelete"
)
