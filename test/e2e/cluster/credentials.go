package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// lifetime is that of certificates and tokens: longer than any test, and than a
// person leaves a cluster running.
const lifetime = 30 * 24 * time.Hour

// An authority signs the certificates of a cluster.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// A keyPair is a certificate with its key, in PEM.
type keyPair struct {
	certificate, key []byte
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating the authority's key: %w", err)
	}
	template := certificate(pkix.Name{CommonName: "test-cluster"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority's certificate: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's certificate: %w", err)
	}
	return &authority{certificate: parsed, key: key, pem: encode("CERTIFICATE", der)}, nil
}

// issue signs a certificate for a server on this machine, or a client of that
// name. The groups are those that the API server takes the client to be in.
func (a *authority) issue(name string, groups ...string) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("generating the key of %q: %w", name, err)
	}
	template := certificate(pkix.Name{CommonName: name, Organization: groups})
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	template.IPAddresses = []net.IP{net.ParseIP(host)}
	template.DNSNames = []string{"localhost"}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("signing the certificate of %q: %w", name, err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return keyPair{}, fmt.Errorf("encoding the key of %q: %w", name, err)
	}
	return keyPair{certificate: encode("CERTIFICATE", der), key: encode("PRIVATE KEY", encoded)}, nil
}

func certificate(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour), // the clock may be set back meanwhile
		NotAfter:     now.Add(lifetime),
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// writeCredentials makes the cluster's authority, the certificates of its
// servers, the key that signs service accounts' tokens, and the kubeconfigs.
func (c *Cluster) writeCredentials() error {
	for _, dir := range []string{c.path("pki"), c.path("kubeconfig")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.pki("ca.crt"), ca.pem, 0o600); err != nil {
		return err
	}
	for _, name := range []string{APIServer, Kubelet, "service-accounts"} {
		pair, err := ca.issue(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.pki(name+".crt"), pair.certificate, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(c.pki(name+".key"), pair.key, 0o600); err != nil {
			return err
		}
	}
	return c.writeKubeconfigs(ca)
}

func (c *Cluster) pki(file string) string { return c.path("pki", file) }
