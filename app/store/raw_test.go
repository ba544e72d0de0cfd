package store

import (
	"errors"
	"io"

	"github.com/ncruces/go-sqlite3"
)

// readAll reads the file of a connection as SQLite sees it, decrypted.
func readAll(c *sqlite3.Conn) ([]byte, error) {
	f, err := c.FileControl("main", sqlite3.FCNTL_FILE_POINTER)
	if err != nil {
		return nil, err
	}
	var all []byte
	for page := make([]byte, pageSize); ; {
		n, err := f.(io.ReaderAt).ReadAt(page, int64(len(all)))
		if errors.Is(err, io.EOF) && n == 0 {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page[:n]...)
	}
}
