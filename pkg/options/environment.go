package options

// Variable is an environment variable that is read.
type Variable struct{ Name, Meaning string }

// Environment returns the environment variables that are read.
func Environment() []Variable {
	return []Variable{
		{"KUBECONFIG", "Path of a kubeconfig file; takes precedence over `--kubeconfig`."},
		{"NAMESPACE", "Namespace of CSIStorageCapacity objects, for `--enable-capacity`; by default POD_NAMESPACE."},
		{"NODE_NAME", "Name of the node, for `--node-deployment`."},
		{"POD_NAME", "Name of the pod: holder of the lease (by default the host's name), where the owner of CSIStorageCapacity objects is looked for, and what events about the program itself are about."},
		{"POD_NAMESPACE", "Namespace of the pod: where the lease (unless `--leader-election-namespace` is given) and the journal are; by default that of the service account, else `default`."},
		{"POD_UID", "UID of the pod, for events about the program itself."},
	}
}
