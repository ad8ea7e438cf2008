// Go's own HTTP/2 server, for the tests: main.go CERTIFICATE KEY STREAMS BUFFER. It prints its port, takes so many
// streams at once and grants so many bytes, and answers each request with the status that its path ends with and with
// what it was sent.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
)

func main() {
	streams, _ := strconv.Atoi(os.Args[3])
	buffer, _ := strconv.Atoi(os.Args[4])
	handler := func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(path.Base(r.URL.Path))
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Apns-Id", r.Header.Get("Apns-Id"))
		w.WriteHeader(status)
		w.Write(body)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(handler),
		HTTP2:   &http.HTTP2Config{MaxConcurrentStreams: streams, MaxReceiveBufferPerStream: buffer},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(server.ServeTLS(listener, os.Args[1], os.Args[2]))
}
