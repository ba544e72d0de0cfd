package store

import (
	"errors"
	"io"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// readAll reads the file of a connection as SQLite sees it, decrypted.
func readAll(dc any) ([]byte, error) {
	f, err := dc.(driver.Conn).Raw().FileControl("main", sqlite3.FCNTL_FILE_POINTER)
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
