package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// host is where everything listens.
const host = "127.0.0.1"

// A network holds the addresses of a cluster.
type network struct {
	etcdClients, etcdPeers int
	apiServer              int
	kubelet, kubeletHealth int
	nodeIP                 string // an address of this machine, empty if it has none
}

func chooseNetwork() (network, error) {
	var n network
	taken := map[int]bool{}
	for _, port := range []*int{&n.etcdClients, &n.etcdPeers, &n.apiServer, &n.kubelet, &n.kubeletHealth} {
		free, err := freePort(taken)
		if err != nil {
			return network{}, err
		}
		*port = free
	}
	n.nodeIP = machineIP()
	return n, nil
}

// freePort chooses a port at random that is free and not in taken, and adds it
// there. It is below the ports that Kubernetes and the kernel give away by
// themselves (from 30000 and from 32768), so that nothing takes it before the
// component does, or while the component is restarted.
func freePort(taken map[int]bool) (int, error) {
	const first, count, tries = 10000, 20000, 100
	for range tries {
		port := first + rand.IntN(count)
		if taken[port] {
			continue
		}
		listener, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		taken[port] = true
		return port, listener.Close()
	}
	return 0, errors.New("finding a free port: none of those tried is free")
}

func address(port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func url(scheme string, port int) string {
	return fmt.Sprintf("%s://%s", scheme, address(port))
}

// machineIP is an address of this machine that a node may have, which excludes
// 127.0.0.1. Given one, the kubelet does not ask DNS for its node's name. The
// address is a label only: the kubelet listens on 127.0.0.1.
func machineIP() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}
