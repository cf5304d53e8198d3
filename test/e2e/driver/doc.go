// Package driver is a CSI driver to test sidecars, the scheduler and a kubelet
// with. [Start] runs one in this process; the command test/e2e/cmd/driver is a
// process of its own.
//
// # Volumes
//
// Volumes are real (see the package backend) and survive the driver: their
// state is a JSON file each in the state directory (package volume). Creating is
// idempotent by name and cheap, a file system is made when a volume is first
// staged. Nothing is unmounted when the driver stops; [Cleanup] does that.
//
// The controller and the node service may run in two processes that share the
// state directory ([Options.Services]); each records the calls to itself. Only
// one process that serves the controller may use a state directory.
//
// # Snapshots and clones
//
// A snapshot is a copy of the volume's data as they are when it is taken, and so is
// a clone: what is mounted is flushed first, and blocks are shared where the file
// system of the state directory can. A volume from either may be larger, and of the
// other mode.
//
// # Calls
//
// Each call is recorded (package record), may be changed by a rule (package
// fault) and takes its turn: a second call for a volume that one works on is
// Aborted, or waits. A call goes on when its client gives up, as in real
// drivers. A method whose capability is not advertised answers Unimplemented.
// Tests steer all this through the package control.
//
// # Topology
//
// A volume goes to the first topology of the requirement, preferred ones first,
// that [Options.Topologies] serves, and to the node's own segments if there is
// no requirement. A requirement that cannot be met is ResourceExhausted.
//
// # Expansion
//
// ControllerExpandVolume expands the sparse file and asks for the node's step, in
// which NodeExpandVolume refreshes the loop device and expands the file system. A
// driver without the controller's EXPAND_VOLUME expands the file on the node too.
// With the plugin capability OFFLINE in the place of ONLINE a volume that is
// attached, staged or published is FailedPrecondition to the controller. Sizes
// above [Options.MaxVolumeBytes] are OutOfRange.
//
// # Credentials
//
// A volume can need credentials: the secrets of a call, all keys and values,
// must be those that the volume was enrolled with, of which it keeps a salted
// hash. It is decided when the volume is created:
//
//   - The class parameter `encrypted: "true"` is the case of a disk with a
//     passphrase: NodeStageVolume and NodeExpandVolume need it. The volume is
//     enrolled with the secrets of CreateVolume or, if there are none, of the
//     first NodeStageVolume.
//   - [Options.ExpandCredentials] is the case of an array with an account:
//     NodeExpandVolume of each volume needs it, staging does not. This is the
//     story of KEP 3107 with a node-expand secret alone.
//   - [Options.RequireExpandCredentials] is the same with an account that the
//     driver does not know yet: a volume is enrolled by its first
//     NodeExpandVolume.
//
// A call without secrets is InvalidArgument, one with others PermissionDenied.
// Both name the keys that came, never a value. A volume of an `encrypted` class
// keeps its own passphrase where the options ask for an account too.
package driver
