// Command driver is a CSI driver to test sidecars with: its volumes are real
// (sparse file, loop device, XFS), they survive its restart, and it can be told
// at run time to be slow, to fail and to tell what was asked of it (see the
// package test/e2e/driver/control).
//
//	driver [flags]                     serve until SIGTERM or SIGINT
//	driver cleanup --state-dir DIR     unmount and detach what is left of the
//	                                   volumes in DIR; their data stays
//
// Flags:
//
//	--endpoint PATH            unix socket of the CSI services (required; "unix://" may stand before it)
//	--state-dir DIR            volumes, calls and salted hashes (required)
//	--control-socket PATH      unix socket of the control API; none if empty
//	--registration-dir DIR     the kubelet's plugins_registry; not registered if empty
//	--name NAME                driver name (blockstorage.cloudprovider.example)
//	--node-id ID               this node (racknode01)
//	--nodes ID,...             nodes that ControllerPublishVolume knows (the node-id)
//	--services LIST            controller,node; identity is always served
//	--backend KIND             loop, directory or auto: loop where it works
//
//	--topology-key KEY         key of the node's segment (topology.NAME/node)
//	--segments K=V,...         the node's segments (TOPOLOGY-KEY=NODE-ID)
//	--topologies K=V,...       where volumes can be: one topology a flag, repeated; anywhere if none
//
//	--plugin-capabilities LIST      CONTROLLER_SERVICE, VOLUME_ACCESSIBILITY_CONSTRAINTS, ONLINE, OFFLINE
//	--controller-capabilities LIST  names of the CSI specification
//	--node-capabilities LIST        names of the CSI specification
//	    In the three lists "*" stands for the default and "-NAME" takes a name
//	    away: '*,-PUBLISH_UNPUBLISH_VOLUME,SINGLE_NODE_MULTI_WRITER'. A method
//	    whose capability is missing answers Unimplemented.
//
//	--capacity SIZE              capacity of each topology, a quantity; 0 is no limit
//	--max-volume-size SIZE       larger volumes are OutOfRange; 0 is no limit
//	--max-volumes-per-node N     more are ResourceExhausted; 0 is no limit
//	--mutable-parameters K,...   what ControllerModifyVolume takes; all if empty
//	--in-flight KIND             abort or wait: a second call for the volume of a running one
//	                             is Aborted, or waits
//
//	--require-expand-credentials      NodeExpandVolume needs secrets, for each volume
//	--expand-credentials-file FILE    a JSON object: the secrets that it needs
//
//	--log-format text|json
//	-v N                       1 logs each call, 0 the failed ones
//
// See the package test/e2e/driver for what the driver does with volumes,
// topology and credentials.
package main
