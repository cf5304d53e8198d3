// Package provision makes volumes for claims: it gathers what a decision
// depends on, asks the planner (plan/provision), and carries the plan out at
// the driver and the API server.
//
// From the moment that CreateVolume may have reached the driver, the claim has
// an attempt. It ends when the PersistentVolume is stored, when the driver has
// said with a final error that there is no volume, or when the volume has been
// deleted again. Until then it is pursued whatever becomes of the claim, its
// class or its secret:
//
//	asked ──▶ made ──▶ (stored)
//	  │         │
//	  │         └────▶ useless ──▶ (deleted)
//	  └──▶ (no volume)
package provision
