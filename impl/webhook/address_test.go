package webhook_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/webhook"
)

func TestGlobalAddresses(t *testing.T) {
	t.Parallel()
	for _, global := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "128.0.0.1", "172.15.255.255", "172.32.0.0",
		"192.0.1.1", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2001:4860:4860::8888",
		"2a00::1", "::ffff:8.8.8.8",
	} {
		if !webhook.IsPublicAddr(netip.MustParseAddr(global)) {
			t.Errorf("%s is refused", global)
		}
	}
	for _, special := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "168.63.129.16",
		"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
		"198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::a00:1", "64:ff9b::7f00:1",
		"64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1",
		"2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
		"fec0::1", "ff02::1", "4000::1", "2606:4700::1%eth0",
	} {
		if webhook.IsPublicAddr(netip.MustParseAddr(special)) {
			t.Errorf("%s is taken for global", special)
		}
	}
	if webhook.IsPublicAddr(netip.Addr{}) {
		t.Error("no address is taken for global")
	}
}

// An IPv4 address does not become more reachable by being written as an IPv6 one.
func TestTranslatedAddresses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		four := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "IPv4"))
		mapped := netip.AddrFrom16(netip.AddrFrom4(four).As16())
		if webhook.IsPublicAddr(mapped) != webhook.IsPublicAddr(netip.AddrFrom4(four)) {
			t.Errorf("%s is judged otherwise than %s", mapped, netip.AddrFrom4(four))
		}
		for _, prefix := range []string{"64:ff9b::", "::", "64:ff9b:1::"} {
			sixteen := netip.MustParseAddr(prefix).As16()
			copy(sixteen[12:], four[:])
			if address := netip.AddrFrom16(sixteen); webhook.IsPublicAddr(address) {
				t.Errorf("%s is taken for global", address)
			}
		}
		sixteen := netip.MustParseAddr("2002::").As16()
		copy(sixteen[2:], four[:])
		if webhook.IsPublicAddr(netip.AddrFrom16(sixteen)) {
			t.Errorf("6to4 of %v is taken for global", four)
		}
	})
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	prefixes, err := webhook.ParsePrefixes(" 10.1.2.3/16 ,fd00::/8,")
	if err != nil || len(prefixes) != 2 || prefixes[0].String() != "10.1.0.0/16" {
		t.Errorf("read %v, %v", prefixes, err)
	}
	for _, wrong := range []string{"10.0.0.1", "10.0.0.0/33", "example.com", "10.0.0.0/8;fd00::/8"} {
		if _, err := webhook.ParsePrefixes(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	policy := webhook.Policy{Prefixes: prefixes}
	if policy.CheckURL("https://10.1.255.1/") != nil || policy.CheckURL("https://10.2.0.1/") == nil || policy.CheckURL("http://10.1.0.1/") == nil {
		t.Error("the prefixes are not those that were opened")
	}
	dev := webhook.Policy{AllowLoopbackHTTP: true}
	for url, allowed := range map[string]bool{
		"http://127.0.0.1:9000/x": true, "http://[::1]:9000": true, "http://localhost:9000": true, "http://10.0.0.1": false,
		"http://example.com": false, "https://127.0.0.1": false, "https://example.com": true,
	} {
		if err := dev.CheckURL(url); (err == nil) != allowed {
			t.Errorf("in dev %s: %v", url, err)
		}
	}
}
