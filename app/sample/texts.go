package sample

import (
	"math/rand/v2"
	"strings"
)

// language is what people of one language are called and say.
type language struct {
	names     []string
	sentences []string
	space     string // between sentences
}

// languages are those that are spoken, the commonest first.
func languages() []language {
	return []language{
		{
			names: []string{"Anna Bergmann", "Bob Carter", "Carol Nguyen", "Dave Okafor", "Ellen Fischer", "Frank O'Neil", "Grace Liu", "Hugo Martin", "Iris Novak", "Jack Walker",
				"Kim Park", "Lena Sørensen", "Mo Haddad", "Nina Rossi", "Oscar Lindqvist", "Pia Weber", "Quinn Taylor", "Rosa Delgado", "Sven Aalto", "Tomás Herrera"},
			space: " ",
			sentences: []string{
				"Are you coming tonight?", "I'll be ten minutes late.", "The train was cancelled again.", "See you at the harbour at six.", "Did you read the letter from the landlord?",
				"Yes!", "No idea.", "Sounds good to me.", "Can you send me the address once more?", "I left the keys with the neighbour.", "We could meet on Thursday instead.",
				"The meeting has been moved to half past nine.", "Happy birthday! 🎉", "😂", "👍", "Thanks a lot ❤️", "Let me check and come back to you.",
				"Look at https://example.org/timetable?line=7&day=sat before you leave.", "The password is not in this message, of course.", "How is your mother doing?",
				"I made soup, there is plenty left.", "Do not forget the tickets.", "It rained the whole weekend, but the godwits did not mind.", "`make test` is green again.",
				"Could you look at the draft of chapter three? I changed the ending, and I am not sure whether the last scene still makes sense to somebody who has not read the notes.",
				"We bought the blue one after all.", "The bridge is closed until Monday.", "I'm on the boat now, the connection will be poor.", "Good night!",
				"What about the budget for next year?", "She said that the doctor was very kind and explained everything twice.", "Shopping list:\n- bread\n- coffee\n- two lemons\n- candles",
			},
		},
		{
			names:     []string{"Jürgen Groß", "Käthe Müller", "Ömer Yıldız", "Anneliese Vogt", "Björn Hölzl"},
			space:     " ",
			sentences: []string{"Kommst du heute Abend?", "Der Zug fällt schon wieder aus.", "Ich habe die Schlüssel beim Nachbarn gelassen.", "Schöne Grüße aus Köln!", "Na klar.", "Das klingt gut, ich frage noch Käthe.", "Wir treffen uns um halb sieben am Hafen, aber nur wenn es nicht regnet.", "Alles Gute zum Geburtstag! 🎂"},
		},
		{
			names:     []string{"Amélie Lefèvre", "Benoît Garçon", "Chloé Dubois", "Noël Fournier"},
			space:     " ",
			sentences: []string{"Tu viens ce soir ?", "J'arrive dans dix minutes.", "Le train est encore annulé.", "Ça marche, à tout à l'heure !", "Joyeux anniversaire 🎉", "N'oublie pas les billets, s'il te plaît.", "Je t'envoie l'adresse dès que je suis rentrée, il y a un code à l'entrée."},
		},
		{
			names:     []string{"Íñigo Peña", "Lucía Núñez", "Andrés Muñoz"},
			space:     " ",
			sentences: []string{"¿Vienes esta noche?", "Llego en diez minutos.", "El tren se ha cancelado otra vez.", "¡Feliz cumpleaños!", "Nos vemos mañana en el puerto.", "Mañana te cuento, que ahora no tengo cobertura."},
		},
		{
			names:     []string{"Ольга Смирнова", "Фёдор Ильин", "Юлия Ткач"},
			space:     " ",
			sentences: []string{"Ты придёшь сегодня?", "Поезд опять отменили.", "Буду через десять минут.", "С днём рождения!", "Ключи у соседа, он дома до восьми.", "Хорошо."},
		},
		{
			names:     []string{"王小明", "李雪", "陳大文"},
			space:     "",
			sentences: []string{"今晚你来吗？", "火车又取消了。", "我十分钟后到。", "生日快乐！🎂", "钥匙在邻居那里。", "明天在港口见，如果不下雨的话。", "好的。"},
		},
		{
			names:     []string{"山田花子", "佐藤健", "すずき あい"},
			space:     "",
			sentences: []string{"今夜来ますか？", "電車がまた運休です。", "あと十分で着きます。", "お誕生日おめでとう！", "鍵は隣の人に預けました。", "了解です👍"},
		},
		{
			names:     []string{"ليلى حداد", "يوسف منصور"},
			space:     " ",
			sentences: []string{"هل ستأتي الليلة؟", "أُلغي القطار مرة أخرى.", "سأصل بعد عشر دقائق.", "عيد ميلاد سعيد!", "المفاتيح عند الجار.", "شكرا"},
		},
		{
			names:     []string{"נועה כהן", "דוד לוי"},
			space:     " ",
			sentences: []string{"את באה הערב?", "הרכבת בוטלה שוב.", "אני מגיע בעוד עשר דקות.", "יום הולדת שמח!", "תודה רבה"},
		},
		{
			names:     []string{"प्रिया शर्मा", "राहुल वर्मा"},
			space:     " ",
			sentences: []string{"क्या तुम आज रात आ रहे हो?", "ट्रेन फिर से रद्द हो गई।", "मैं दस मिनट में पहुँचूँगा।", "जन्मदिन मुबारक!", "ठीक है"},
		},
		{
			names:     []string{"김민준", "이서연"},
			space:     " ",
			sentences: []string{"오늘 밤에 와요?", "기차가 또 취소됐어요.", "십 분 후에 도착해요.", "생일 축하해요!", "열쇠는 이웃집에 있어요."},
		},
	}
}

// text is a message: most are short, a few are long.
func (l language) text(r *rand.Rand) string {
	n := 1
	switch f := r.IntN(100); {
	case f >= 99:
		n = 10 + r.IntN(20)
	case f >= 85:
		n = 3 + r.IntN(4)
	case f >= 60:
		n = 2
	}
	var b strings.Builder
	for i := range n {
		switch {
		case i > 0 && i%6 == 0:
			b.WriteString("\n\n")
		case i > 0:
			b.WriteString(l.space)
		}
		b.WriteString(l.sentences[r.IntN(len(l.sentences))])
	}
	return b.String()
}
