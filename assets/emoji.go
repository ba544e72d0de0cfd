package assets

import _ "embed"

// EmojiTable and EmojiPack are emoji/emoji.tsv and emoji/noto.pack, made by
// app/ui/emoji/gen, which says how they are written. Strings, because nobody should
// copy six megabytes.
var (
	//go:embed emoji/emoji.tsv
	EmojiTable string
	//go:embed emoji/noto.pack
	EmojiPack string
)
