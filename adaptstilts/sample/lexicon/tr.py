"""Turkish: subject, time, place, object, verb. Events: object = verb = negated verb."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = "DET bir bu; NUM iki üç; ADV dün önce; PRON kim ne nerede; PROPN Anna Omar Maria Peter Leyla David Sara İvan"

PEOPLE = """
anna: Anna
omar: Omar
maria: Maria
peter: Peter
leila: Leyla
david: David
sara: Sara
ivan: İvan
teacher: öğretmen
brother: erkek kardeşim
sister: kız kardeşim
doctor: doktor
neighbour: komşumuz
boy: çocuk
"""

EVENTS = """
buy_book: yeni/ADJ bir kitap = aldı/VERB = almadı/VERB
eat_apple: kırmızı/ADJ bir elma = yedi/VERB = yemedi/VERB
drink_tea: sıcak/ADJ çay = içti/VERB = içmedi/VERB
write_letter: uzun/ADJ bir mektup = yazdı/VERB = yazmadı/VERB
read_newspaper: gazeteyi = okudu/VERB = okumadı/VERB
wash_dishes: bulaşıkları = yıkadı/VERB = yıkamadı/VERB
cook_soup: sebze çorbası = pişirdi/VERB = pişirmedi/VERB
play_football: futbol = oynadı/VERB = oynamadı/VERB
play_guitar: gitar = çaldı/VERB = çalmadı/VERB
sing_song: eski/ADJ bir şarkı = söyledi/VERB = söylemedi/VERB
lose_keys: anahtarları = kaybetti/VERB = kaybetmedi/VERB
find_wallet: siyah/ADJ bir cüzdan = buldu/VERB = bulmadı/VERB
sell_bicycle: eski/ADJ bir bisiklet = sattı/VERB = satmadı/VERB
repair_chair: kırık/ADJ bir sandalyeyi = tamir/NOUN etti/VERB = tamir/NOUN etmedi/VERB
open_window: pencereyi = açtı/VERB = açmadı/VERB
close_door: kapıyı = kapattı/VERB = kapatmadı/VERB
call_friend: eski/ADJ bir arkadaşını = aradı/VERB = aramadı/VERB
meet_friends: iki arkadaşıyla = buluştu/VERB = buluşmadı/VERB
buy_bread: taze/ADJ ekmek = aldı/VERB = almadı/VERB
take_photos: çok/DET fotoğraf = çekti/VERB = çekmedi/VERB
draw_tree: büyük/ADJ bir ağaç = çizdi/VERB = çizmedi/VERB
plant_flowers: beyaz/ADJ çiçekler = dikti/VERB = dikmedi/VERB
catch_fish: büyük/ADJ bir balık = tuttu/VERB = tutmadı/VERB
sleep: iki saat = uyudu/VERB = uyumadı/VERB
learn_poem: kısa/ADJ bir şiir = öğrendi/VERB = öğrenmedi/VERB
tell_story: komik/ADJ bir hikâye = anlattı/VERB = anlatmadı/VERB
help_man: yaşlı/ADJ bir adama = yardım/NOUN etti/VERB = yardım/NOUN etmedi/VERB
break_cup: mavi/ADJ bir fincanı = kırdı/VERB = kırmadı/VERB
clean_floor: yerleri = temizledi/VERB = temizlemedi/VERB
feed_cat: siyah/ADJ kediyi = besledi/VERB = beslemedi/VERB
count_money: parayı = saydı/VERB = saymadı/VERB
watch_film: ilginç/ADJ bir film = izledi/VERB = izlemedi/VERB
hear_music: müzik = dinledi/VERB = dinlemedi/VERB
forget_umbrella: şemsiyeyi = unuttu/VERB = unutmadı/VERB
carry_boxes: üç ağır/ADJ kutu = taşıdı/VERB = taşımadı/VERB
paint_wall: duvarı = boyadı/VERB = boyamadı/VERB
cut_lemon: sarı/ADJ bir limon = kesti/VERB = kesmedi/VERB
drink_water: soğuk/ADJ su = içti/VERB = içmedi/VERB
ask_question: zor/ADJ bir soru = sordu/VERB = sormadı/VERB
pay_bill: hesabı = ödedi/VERB = ödemedi/VERB
"""

PLACES = """
market: pazarda
park: parkta
school: okulda
home: evde
kitchen: mutfakta
station: istasyonda
library: kütüphanede
garden: bahçede
cafe: kafede
office: ofiste
river: nehir kenarında
hospital: hastanede
"""

TIMES = """
yesterday: dün
last_week: geçen/ADJ hafta
monday: pazartesi günü
saturday: cumartesi günü
two_days_ago: iki gün önce/ADP
evening: akşam
morning: bu sabah
summer: geçen/ADJ yaz
"""

PAIRS = """
rain: Bütün gece yağmur yağdı. | Sabah sokaklar ıslaktı.
alarm: Çalar saat çalmadı. | Anna uyuyakaldı.
ice: Omar buzda kaydı. | Omar'ın kolu kırıldı.
battery: Telefonun şarjı bitmişti. | Maria kimseyi arayamadı.
oven: Kek fırında çok uzun kaldı. | Kek yandı.
salt: Çorbada çok fazla tuz vardı. | Kimse çorbayı içmek istemedi.
baby: Bebek acıkmıştı. | Bebek ağlamaya başladı.
fuel: Arabanın benzini bitti. | Şoför benzin istasyonuna yürümek zorunda kaldı.
snow: Gece çok kar yağdı. | Çocuklar kardan adam yaptı.
key: Kadın anahtarını kaybetti. | Kadın dairesine giremedi.
ball: Çocuk topu pencereye attı. | Cam kırıldı.
sun: Kız saatlerce güneşte yattı. | Cildi kızardı.
exam: Öğrenci sınava iyi hazırlandı. | Öğrenci en yüksek notu aldı.
tooth: Peter'in dişi çok ağrıyordu. | Peter diş hekimine gitti.
dog: Bir yabancı bahçe kapısına geldi. | Köpek yüksek sesle havladı.
cage: Kafesin kapısı açıktı. | Kuş uçup gitti.
plants: Kimse bitkileri sulamadı. | Çiçekler kurudu.
power: Akşam elektrikler kesildi. | Aile mum yaktı.
bus: Sara otobüsü kaçırdı. | Sara işe geç kaldı.
thief: Bir hırsız bisikleti çaldı. | Bisikletin sahibi polisi aradı.
birthday: Büyükannenin doğum günüydü. | Torunları hediyeler getirdi.
dark: Okumak için çok karanlıktı. | David lambayı yaktı.
cold: Odaya soğuk hava giriyordu. | Leyla pencereyi kapattı.
fire: Ev yanıyordu. | İtfaiyeciler çabucak geldi.
joke: Öğretmen güzel bir fıkra anlattı. | Öğrenciler güldü.
feet: Çocuğun ayakları büyümüştü. | Çocuğun daha büyük ayakkabılara ihtiyacı vardı.
tired: İşçi on iki saat çalışmıştı. | İşçi kanepede uyuyakaldı.
computer: Bilgisayar aniden bozuldu. | Yazar bütün metni kaybetti.
prices: Mağaza fiyatlarını düşürdü. | Çok sayıda müşteri geldi.
suitcase: Bavul çok ağırdı. | Yolcu yardım istedi.
milk: Süt bütün gün sıcakta durdu. | Süt ekşidi.
bee: Bir arı çocuğu soktu. | Çocuğun eli şişti.
wind: Kuvvetli bir rüzgâr esiyordu. | Adamın şapkası uçtu.
ducks: Kız gölete ekmek attı. | Ördekler yüzerek yaklaştı.
bridge: Köprüde bir kaza oldu. | Arabalar uzun bir kuyruk oluşturdu.
glasses: Yaşlı adam gözlüğünü unuttu. | Yaşlı adam menüyü okuyamadı.
noise: Komşular bütün gece gürültüyle eğlendi. | Binada kimse uyuyamadı.
goal: Takımımız son dakikada gol attı. | Taraftarlar sevinçle bağırdı.
pipe: Banyoda bir su borusu patladı. | Kiracılar bir tesisatçı çağırdı.
pocket: Cepte bir delik vardı. | Bozuk paralar düştü.
ticket: Yolcunun bileti yoktu. | Yolcu ceza ödedi.
drought: Aylarca yağmur yağmadı. | Çiftçinin hasadı kötü oldu.
rent: Kira çok pahalı oldu. | Çift başka bir daireye taşındı.
lie: Çocuk arkadaşına yalan söyledi. | Arkadaşı artık çocuğa güvenmiyordu.
lottery: Genç adam piyangoyu kazandı. | Genç adam bir gecede zengin oldu.
knife: Aşçı parmağını kesti. | Aşçı yaraya yara bandı yapıştırdı.
onions: Büyükbaba soğan doğradı. | Büyükbabanın gözleri yaşla doldu.
japan: Maria Japonya'da çalışmak istiyordu. | Maria Japonca öğrendi.
film: Film çok üzücüydü. | Birçok seyirci ağladı.
internet: İnternet bağlantısı yoktu. | E-posta gönderilemedi.
coffee: Misafir akşam üç fincan kahve içti. | Misafir şafağa kadar uyanık kaldı.
flour: Fırıncının unu kalmamıştı. | O gün taze ekmek yoktu.
wallet: Adam cüzdanını evde bıraktı. | Adam restoranda ödeme yapamadı.
bench: Bank yeni boyanmıştı. | Hanımın paltosunda bir leke vardı.
singer: Şarkıcının boğazı ağrıyordu. | Konser iptal edildi.
fog: Havaalanının üzerinde yoğun bir sis vardı. | Uçak iki saat geç kalktı.
balloon: Çocuk ipi bıraktı. | Balon gökyüzüne yükseldi.
mouse: Fare kediyi gördü. | Fare deliğine kaçtı.
candle: Kız muma üfledi. | Alev söndü.
ice_cream: Dondurma uzun süre masanın üzerinde durdu. | Dondurma eridi.
runner: Koşucu her gün antrenman yaptı. | Koşucu yarışı kazandı.
address: Zarfın üzerindeki adres yanlıştı. | Mektup gönderene geri döndü.
lost: Çocuk kalabalıkta kayboldu. | Annesiyle babası her yeri aradı.
cows: Çiftçi kapıyı kapatmayı unuttu. | İnekler yola çıktı.
"""


def clause(p: Parts) -> Segments:
    """Return a statement: Anna dün pazarda yeni bir kitap aldı."""
    rest = [("where", p.place), ("what", p.event[0] + p.event[2 if p.negative else 1])]
    who, when = ("who", p.subject[0]), ("when", p.time)
    return [when, who, *rest] if p.front else [who, when, *rest]


def question(what: str, p: Parts) -> Phrase:
    """Return a question: Anna nerede yeni bir kitap aldı?"""
    done = p.event[0] + p.event[1] + phrase("?")
    if what == "who":
        return p.time + p.place + phrase("kim/PRON") + done
    if what == "what":
        return p.subject[0] + p.time + p.place + phrase("ne/PRON yaptı/VERB ?")
    return p.subject[0] + phrase("nerede/PRON" if what == "where" else "ne/DET zaman/NOUN") + done


LEXICON = Lexicon(
    code="tr",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("Sebebi neydi?", "Sonuç olarak ne oldu?"),
    clause=clause,
    question=question,
    but=", ama/CCONJ",
)
