package names

// Labels of CSIStorageCapacity objects. An object that carries both with this
// program's values is its own to change and delete; so are those that
// external-provisioner has made, which has the same values.
const (
	// CapacityDriver is the label whose value is the driver's name.
	CapacityDriver = "csi.storage.k8s.io/drivername"
	// CapacityManagedBy is the label that tells who looks after the object.
	CapacityManagedBy = "csi.storage.k8s.io/managed-by"
	// CapacityManager is the value of [CapacityManagedBy]; in node deployment the
	// node's name follows it.
	CapacityManager = "external-provisioner"
	// CapacityPrefix begins the names of the objects.
	CapacityPrefix = "csisc-"
)

// Reasons of events; [Events] describes all of them.
const (
	ReasonStorageCapacityFailed = "StorageCapacityFailed"
)
