package webhook

import "net/netip"

// IsPublicAddr reports whether an address belongs to the public Internet. The ranges of IANA's special-purpose
// registries (RFC 6890) do not. Neither do translated and tunnelled forms of other addresses, which would reach
// addresses that the rules below cannot see.
func IsPublicAddr(address netip.Addr) bool {
	if address.Zone() != "" {
		return false
	}
	address = address.Unmap() // an IPv4-mapped address is the IPv4 address
	if !address.IsValid() || !address.IsGlobalUnicast() {
		return false
	}
	if address.Is6() && !unicast6().Contains(address) {
		return false // IPv4-compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard, SRv6 SIDs, ULA, link-local, multicast
	}
	for _, special := range specials() {
		if special.Contains(address) {
			return false
		}
	}
	return true
}

// unicast6 returns the part of IPv6 that has been assigned for global unicast.
func unicast6() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

func specials() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),        // this network
		netip.MustParsePrefix("10.0.0.0/8"),       // private
		netip.MustParsePrefix("100.64.0.0/10"),    // shared by carriers (CGNAT)
		netip.MustParsePrefix("127.0.0.0/8"),      // loopback
		netip.MustParsePrefix("168.63.129.16/32"), // the host of a virtual machine in Azure
		netip.MustParsePrefix("169.254.0.0/16"),   // link-local, metadata services of cloud machines
		netip.MustParsePrefix("172.16.0.0/12"),    // private
		netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),     // documentation
		netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays
		netip.MustParsePrefix("192.168.0.0/16"),   // private
		netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"),  // documentation
		netip.MustParsePrefix("203.0.113.0/24"),   // documentation
		netip.MustParsePrefix("224.0.0.0/4"),      // multicast
		netip.MustParsePrefix("240.0.0.0/4"),      // reserved, broadcast
		netip.MustParsePrefix("2001::/23"),        // protocol assignments: Teredo, ORCHID, benchmarks
		netip.MustParsePrefix("2001:db8::/32"),    // documentation
		netip.MustParsePrefix("2002::/16"),        // 6to4
		netip.MustParsePrefix("3fff::/20"),        // documentation
	}
}
