package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strconv"
	"strings"
)

// registered begins the organizational unit in which a member's certificate says
// by which registration of its cluster it was made. It stands in the subject,
// where older replicas, which know the SPIFFE name only, do not look.
const registered = "incarnation "

func subject(incarnation uint64) pkix.Name {
	name := pkix.Name{Organization: []string{"Skein"}}
	if incarnation > 0 {
		name.OrganizationalUnit = []string{registered + strconv.FormatUint(incarnation, 10)}
	}
	return name
}

// IncarnationOf reads from a certificate that was verified at which incarnation
// its member's cluster was when it was made; 0 if it does not say.
func IncarnationOf(cert *x509.Certificate) uint64 {
	for _, unit := range cert.Subject.OrganizationalUnit {
		if n, ok := strings.CutPrefix(unit, registered); ok {
			if incarnation, err := strconv.ParseUint(n, 10, 63); err == nil {
				return incarnation
			}
		}
	}
	return 0
}
