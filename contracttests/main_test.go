package contracttests

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/voostack/mailstack/impl/store/storetest"
)

// deployment is the server of TestDeployment; an empty URL means a server of its own.
var deployment struct{ url, key, from string }

func TestMain(m *testing.M) {
	flag.StringVar(&deployment.url, "url", "", "run the black-box part, and nothing else, against this server")
	flag.StringVar(&deployment.key, "key", "", "an API key of that server with every scope; without it, MAILSTACK_API_KEY")
	flag.StringVar(&deployment.from, "from", "", "the address to send from; without it one of a verified domain")
	flag.Parse()
	if deployment.key == "" {
		deployment.key = os.Getenv("MAILSTACK_API_KEY")
	}
	if deployment.url != "" {
		if err := flag.Set("test.run", "^TestDeployment$"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := storetest.Main(m)
	counted.print(os.Stdout)
	os.Exit(code)
}
