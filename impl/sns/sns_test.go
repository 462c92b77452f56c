package sns_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/sns"
)

const (
	topic       = "arn:aws:sns:us-east-2:123456789012:MyTopic"
	certificate = "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
)

// amazon simulates SNS and its web server; it holds the signing key.
type amazon struct {
	t   *testing.T
	key *rsa.PrivateKey
	// root and issuer are Amazon's authority.
	root, issuer       *x509.Certificate
	rootKey, issuerKey *rsa.PrivateKey

	mu     sync.Mutex
	pages  map[string]func() (*http.Response, error)
	asked  []string
	now    time.Time
	verify *sns.Verifier
}

func newAmazon(t *testing.T) *amazon {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	a := &amazon{t: t, key: key, pages: map[string]func() (*http.Response, error){}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	a.found()
	a.serve(certificate, a.certify(&key.PublicKey, a.now.Add(-time.Hour), a.now.Add(time.Hour)))
	a.verify = sns.New(sns.Config{
		Topics: []string{"arn:aws:sns:us-east-2:123456789012:Other", topic}, TrustedHost: "127.0.0.1:4599", Transport: a, Roots: a.roots(),
		Now: func() time.Time { a.mu.Lock(); defer a.mu.Unlock(); return a.now },
	})
	return a
}

func (a *amazon) RoundTrip(request *http.Request) (*http.Response, error) {
	a.mu.Lock()
	address := request.URL.String()
	a.asked = append(a.asked, address)
	page := a.pages[address]
	a.mu.Unlock()
	if page == nil {
		return nil, errors.New("no such host")
	}
	return page()
}

func (a *amazon) serve(address string, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pages[address] = func() (*http.Response, error) { return answer(http.StatusOK, body, nil), nil }
}

func answer(status int, body []byte, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(string(body)))}
}

func (a *amazon) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

// sign signs a text in the format of the SNS documentation.
func (a *amazon) sign(version, text string) string {
	a.t.Helper()
	first, second := sha1.Sum([]byte(text)), sha256.Sum256([]byte(text))
	hash, sum := crypto.SHA1, first[:]
	if version == "2" {
		hash, sum = crypto.SHA256, second[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, a.key, hash, sum)
	must(a.t, err)
	return base64.StdEncoding.EncodeToString(signature)
}

// notification returns the documentation's notification, with every character of the signed text written out.
func (a *amazon) notification(version string, change func(map[string]string)) []byte {
	a.t.Helper()
	return a.document(change, map[string]string{
		"Type": "Notification", "MessageId": "4d4dc071-ddbf-465d-bba8-08f81c89da64", "TopicArn": topic, "Subject": "My subject",
		"Message": "My Test Message", "Timestamp": "2019-01-31T04:37:04.321Z", "SignatureVersion": version,
		"Signature": a.sign(version, "Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\nSubject\nMy subject\n"+
			"Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\n"+topic+"\nType\nNotification\n"),
		"SigningCertURL": certificate, "UnsubscribeURL": "https://sns.us-east-2.amazonaws.com/?Action=Unsubscribe",
	})
}

func (a *amazon) confirmation(kind, link string, change func(map[string]string)) []byte {
	a.t.Helper()
	return a.document(change, map[string]string{
		"Type": kind, "MessageId": "3d891288-136d-417f-bc05-901c108273ee", "Token": "233c0de", "TopicArn": topic,
		"Message": "You have chosen to subscribe.\nTo confirm …", "SubscribeURL": link, "Timestamp": "2019-01-31T19:25:13.719Z",
		"SignatureVersion": "1", "SigningCertURL": certificate,
		"Signature": a.sign("1", "Message\nYou have chosen to subscribe.\nTo confirm …\nMessageId\n3d891288-136d-417f-bc05-901c108273ee\n"+
			"SubscribeURL\n"+link+"\nTimestamp\n2019-01-31T19:25:13.719Z\nToken\n233c0de\nTopicArn\n"+topic+"\nType\n"+kind+"\n"),
	})
}

func (a *amazon) document(change func(map[string]string), members map[string]string) []byte {
	a.t.Helper()
	if change != nil {
		change(members)
	}
	body, err := json.Marshal(members)
	must(a.t, err)
	return body
}

func set(name, value string) func(map[string]string) {
	return func(members map[string]string) { members[name] = value }
}

func TestGenuineMessages(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	withoutSubject := func(members map[string]string) {
		delete(members, "Subject")
		members["Signature"] = a.sign("2", "Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\n"+
			"Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\n"+topic+"\nType\nNotification\n")
	}
	for name, body := range map[string][]byte{
		"version 1":           a.notification("1", nil),
		"version 2":           a.notification("2", nil),
		"without a subject":   a.notification("2", withoutSubject),
		"confirmation":        a.confirmation("SubscriptionConfirmation", "https://sns.us-east-2.amazonaws.com/?Action=ConfirmSubscription&Token=233c0de", nil),
		"end of subscription": a.confirmation("UnsubscribeConfirmation", "https://sns.us-east-2.amazonaws.com/?Action=ConfirmSubscription&Token=233c0de", nil),
	} {
		if _, err := a.verify.Verify(t.Context(), body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a.requests() != 2 {
		t.Errorf("the certificate and its issuer were fetched by %d requests", a.requests())
	}
}

func TestForgedMessages(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	a.serve("https://sns.us-east-2.amazonaws.com/expired.pem", a.certify(&a.key.PublicKey, a.now.Add(-time.Hour), a.now.Add(-time.Minute)))
	a.serve("https://sns.us-east-2.amazonaws.com/early.pem", a.certify(&a.key.PublicKey, a.now.Add(time.Minute), a.now.Add(time.Hour)))
	a.serve("https://sns.us-east-2.amazonaws.com/nonsense.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	a.serve("https://sns.us-east-2.amazonaws.com/none.pem", []byte("<html>"))
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	a.serve("https://sns.us-east-2.amazonaws.com/other.pem", a.certify(&other.PublicKey, a.now.Add(-time.Hour), a.now.Add(time.Hour)))
	for name, change := range map[string]func(map[string]string){
		"message":           set("Message", "My Other Message"),
		"id":                set("MessageId", "4d4dc071-ddbf-465d-bba8-08f81c89da65"),
		"subject":           set("Subject", ""),
		"no subject":        func(members map[string]string) { delete(members, "Subject") },
		"time":              set("Timestamp", "2019-01-31T04:37:04.322Z"),
		"another topic":     set("TopicArn", "arn:aws:sns:us-east-2:123456789012:Other"),
		"foreign topic":     set("TopicArn", "arn:aws:sns:us-east-2:666666666666:MyTopic"),
		"no topic":          set("TopicArn", ""),
		"other version":     set("SignatureVersion", "1"),
		"unknown version":   set("SignatureVersion", "3"),
		"no signature":      set("Signature", ""),
		"broken signature":  set("Signature", "%%%"),
		"other type":        set("Type", "SubscriptionConfirmation"),
		"expired":           set("SigningCertURL", "https://sns.us-east-2.amazonaws.com/expired.pem"),
		"not yet valid":     set("SigningCertURL", "https://sns.us-east-2.amazonaws.com/early.pem"),
		"nonsense":          set("SigningCertURL", "https://sns.us-east-2.amazonaws.com/nonsense.pem"),
		"no certificate":    set("SigningCertURL", "https://sns.us-east-2.amazonaws.com/none.pem"),
		"other certificate": set("SigningCertURL", "https://sns.us-east-2.amazonaws.com/other.pem"),
	} {
		if _, err := a.verify.Verify(t.Context(), a.notification("2", change)); !errors.Is(err, sns.ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A message with an unknown topic or a foreign host must not trigger outbound requests.
func TestCertificatesComeFromSNSOnly(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	for _, address := range []string{
		"", "http://sns.us-east-2.amazonaws.com/a.pem", "https://sns.us-east-2.amazonaws.com.evil.example/a.pem",
		"https://evil.example/sns.us-east-2.amazonaws.com/a.pem", "https://sns.us-east-2.amazonaws.com@evil.example/a.pem",
		"https://evil.example#sns.us-east-2.amazonaws.com/a.pem", "https://sns.us-east-2.amazonaws.com:8443/a.pem",
		"https://snsxus-east-2.amazonaws.com/a.pem", "https://sns.evil.example.amazonaws.com/a.pem", "https://sns.us-east-2.amazonaws.org/a.pem",
		"https://SNS.us-east-2.amazonaws.com/a.pem", "https://sns.us-east-2.amazonaws.com/a.txt", "https://sns.us-east-2.amazonaws.com/.pem",
		"https://sns.us-east-2.amazonaws.com/a.pem?x", "https://sns.us-east-2.amazonaws.com/?Action=x&a.pem", "https://sns.us-east-2.amazonaws.com/a%2Fb.pem",
		"https://sns.us-east-2.amazonaws.com/../a.pem", "https://sns.us-east-2.amazonaws.com/a/b.pem", "file:///etc/a.pem",
		"http://127.0.0.1:4598/a.pem", "https://127.0.0.1:4599/a.pem", "http://127.0.0.1:4599@evil.example/a.pem", "//sns.us-east-2.amazonaws.com/a.pem",
		"https://s3.us-east-2.amazonaws.com/a.pem", "https://sns.s3.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com/a.pem",
		"https://sns.us-east-2.amazonaws.com.cn/a.pem", "https://sns.us-east-2.amazonaws.com.cn.evil.example/a.pem", "\x00",
	} {
		if _, err := a.verify.Verify(t.Context(), a.notification("1", set("SigningCertURL", address))); !errors.Is(err, sns.ErrUntrusted) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := a.verify.Verify(t.Context(), a.notification("1", set("TopicArn", "arn:aws:sns:us-east-2:1:x"))); !errors.Is(err, sns.ErrUntrusted) {
		t.Errorf("a foreign topic: %v", err)
	}
	if a.requests() != 0 {
		t.Errorf("asked for %q", a.asked)
	}
	for _, address := range []string{"https://sns.us-east-2.amazonaws.com/a-b_C0.pem", "http://127.0.0.1:4599/a.pem"} {
		a.serve(address, a.certify(&a.key.PublicKey, a.now.Add(-time.Hour), a.now.Add(time.Hour)))
		if _, err := a.verify.Verify(t.Context(), a.notification("1", set("SigningCertURL", address))); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A certificate that cannot be fetched now does not make a message untrusted: SNS must retry it.
func TestCertificateThatCannotBeHad(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]func() (*http.Response, error){
		"no network": nil,
		"error":      func() (*http.Response, error) { return answer(http.StatusInternalServerError, nil, nil), nil },
		"redirect": func() (*http.Response, error) {
			return answer(http.StatusFound, nil, http.Header{"Location": {"http://169.254.169.254/"}}), nil
		},
		"too large": func() (*http.Response, error) { return answer(http.StatusOK, make([]byte, 1<<20), nil), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAmazon(t)
			good := a.pages[certificate]
			a.pages[certificate] = page
			for range 3 {
				if _, err := a.verify.Verify(t.Context(), a.notification("1", nil)); !errors.Is(err, sns.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			}
			if a.requests() != 1 {
				t.Errorf("asked %d times within a moment", a.requests())
			}
			a.mu.Lock()
			a.pages[certificate] = good
			a.now = a.now.Add(time.Minute)
			a.mu.Unlock()
			if _, err := a.verify.Verify(t.Context(), a.notification("1", nil)); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	}
}

func TestCertificateIsForgottenWhenItExpires(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	if _, err := a.verify.Verify(t.Context(), a.notification("1", nil)); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.now = a.now.Add(2 * time.Hour)
	a.mu.Unlock()
	if _, err := a.verify.Verify(t.Context(), a.notification("1", nil)); !errors.Is(err, sns.ErrUntrusted) {
		t.Errorf("after its certificate expired: %v", err)
	}
}

func TestMalformedMessages(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	for _, body := range [][]byte{
		nil, []byte("x"), []byte("[]"), []byte(`{}`), []byte(`{"Type":1}`), []byte(`{"Type":"Notification"}`),
		a.notification("1", set("Type", "Other")), a.notification("1", set("MessageId", "")), a.notification("1", set("MessageId", "a\x00")),
		a.notification("1", set("MessageId", strings.Repeat("a", 101))), a.notification("1", set("Message", strings.Repeat("a", sns.MaxBytes))),
	} {
		if _, err := a.verify.Verify(t.Context(), body); !errors.Is(err, sns.ErrMalformed) {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	const link = "https://sns.us-east-2.amazonaws.com/?Action=ConfirmSubscription&Token=233c0de"
	for address, want := range map[string]error{
		"https://evil.example/?Action=ConfirmSubscription":                           sns.ErrUntrusted,
		"http://169.254.169.254/latest/meta-data":                                    sns.ErrUntrusted,
		"https://sns.us-east-2.amazonaws.com/?Action=ConfirmSubscription&Token=gone": sns.ErrUnavailable,
	} {
		message, err := a.verify.Verify(t.Context(), a.confirmation(sns.TypeSubscriptionConfirmation, address, nil))
		must(t, err)
		if err := a.verify.Confirm(t.Context(), message); !errors.Is(err, want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	a.serve(link, []byte("<ConfirmSubscriptionResponse/>"))
	message, err := a.verify.Verify(t.Context(), a.confirmation(sns.TypeSubscriptionConfirmation, link, nil))
	must(t, err)
	must(t, a.verify.Confirm(context.Background(), message))
	if last := a.asked[len(a.asked)-1]; last != link {
		t.Errorf("confirmed at %q", last)
	}
}

func TestTopic(t *testing.T) {
	t.Parallel()
	if sns.LoggableTopicARN(topic) != topic {
		t.Error("a topic is none")
	}
	for _, other := range []string{"", "x", topic + ":sub", "arn:aws:sqs:us-east-2:1:x", topic + "\n", topic + strings.Repeat("a", 400)} {
		if sns.LoggableTopicARN(other) == other {
			t.Errorf("%q is a topic", other)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
