package controller

// The dependencies that several controllers wait for. Those of one controller only are
// in its own package.

// DriverReconnected is woken when the connection to the driver is there again.
func DriverReconnected() Dependency { return Dependency{Kind: "Driver"} }

// ClassChanged is woken when the StorageClass of that name appears, changes or goes.
func ClassChanged(name string) Dependency { return Dependency{Kind: "StorageClass", Name: name} }

// AttributesClassChanged is woken when the VolumeAttributesClass of that name appears,
// changes or goes.
func AttributesClassChanged(name string) Dependency {
	return Dependency{Kind: "VolumeAttributesClass", Name: name}
}

// VolumeChanged is woken when the PersistentVolume of that name appears or changes.
func VolumeChanged(name string) Dependency {
	return Dependency{Kind: "PersistentVolume", Name: name}
}

// Detached is woken when a VolumeAttachment of the PersistentVolume goes.
func Detached(volume string) Dependency {
	return Dependency{Kind: "VolumeAttachment", Name: volume}
}
