"""Swahili: subject, verb, object, place, time. Events: verb = negated verb = object."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = (
    "ADP ya wa la cha kwa na kwenye katika za kando; DET yangu wetu hii; NUM mbili wawili matatu; ADV jana nyumbani;"
    " PRON nani nini; PROPN Anna Omari Maria Petro Leila Daudi Sara Ivani"
)

PEOPLE = """
anna: Anna
omar: Omari
maria: Maria
peter: Petro
leila: Leila
david: Daudi
sara: Sara
ivan: Ivani
teacher: mwalimu
brother: kaka yangu
sister: dada yangu
doctor: daktari
neighbour: jirani yetu/DET
boy: mvulana
"""

EVENTS = """
buy_book: alinunua/VERB = hakununua/VERB = kitabu kipya/ADJ
eat_apple: alikula/VERB = hakula/VERB = tofaa jekundu/ADJ
drink_tea: alikunywa/VERB = hakunywa/VERB = chai ya moto
write_letter: aliandika/VERB = hakuandika/VERB = barua ndefu/ADJ
read_newspaper: alisoma/VERB = hakusoma/VERB = gazeti
wash_dishes: aliosha/VERB = hakuosha/VERB = vyombo
cook_soup: alipika/VERB = hakupika/VERB = supu ya mboga
play_football: alicheza/VERB = hakucheza/VERB = mpira wa miguu
play_guitar: alipiga/VERB = hakupiga/VERB = gitaa
sing_song: aliimba/VERB = hakuimba/VERB = wimbo wa zamani
lose_keys: alipoteza/VERB = hakupoteza/VERB = funguo
find_wallet: aliokota/VERB = hakuokota/VERB = pochi nyeusi/ADJ
sell_bicycle: aliuza/VERB = hakuuza/VERB = baiskeli kuukuu/ADJ
repair_chair: alitengeneza/VERB = hakutengeneza/VERB = kiti kilichovunjika/VERB
open_window: alifungua/VERB = hakufungua/VERB = dirisha
close_door: alifunga/VERB = hakufunga/VERB = mlango
call_friend: alimpigia/VERB = hakumpigia/VERB = simu rafiki wa zamani
meet_friends: alikutana/VERB = hakukutana/VERB = na marafiki wawili
buy_bread: alinunua/VERB = hakununua/VERB = mkate mpya/ADJ
take_photos: alipiga/VERB = hakupiga/VERB = picha nyingi/ADJ
draw_tree: alichora/VERB = hakuchora/VERB = mti mkubwa/ADJ
plant_flowers: alipanda/VERB = hakupanda/VERB = maua meupe/ADJ
catch_fish: alivua/VERB = hakuvua/VERB = samaki mkubwa/ADJ
sleep: alilala/VERB = hakulala/VERB = kwa saa mbili
learn_poem: alijifunza/VERB = hakujifunza/VERB = shairi fupi/ADJ
tell_story: alisimulia/VERB = hakusimulia/VERB = hadithi ya kuchekesha/VERB
help_man: alimsaidia/VERB = hakumsaidia/VERB = mzee
break_cup: alivunja/VERB = hakuvunja/VERB = kikombe cha buluu
clean_floor: alisafisha/VERB = hakusafisha/VERB = sakafu
feed_cat: alimlisha/VERB = hakumlisha/VERB = paka mweusi/ADJ
count_money: alihesabu/VERB = hakuhesabu/VERB = pesa
watch_film: alitazama/VERB = hakutazama/VERB = filamu ya kuvutia/VERB
hear_music: alisikiliza/VERB = hakusikiliza/VERB = muziki
forget_umbrella: alisahau/VERB = hakusahau/VERB = mwavuli
carry_boxes: alibeba/VERB = hakubeba/VERB = masanduku matatu mazito/ADJ
paint_wall: alipaka/VERB = hakupaka/VERB = rangi ukuta
cut_lemon: alikata/VERB = hakukata/VERB = limau la njano
drink_water: alikunywa/VERB = hakunywa/VERB = maji baridi/ADJ
ask_question: aliuliza/VERB = hakuuliza/VERB = swali gumu/ADJ
pay_bill: alilipa/VERB = hakulipa/VERB = bili
"""

PLACES = """
market: sokoni
park: kwenye bustani ya umma
school: shuleni
home: nyumbani
kitchen: jikoni
station: kwenye stesheni
library: kwenye maktaba
garden: bustanini
cafe: mkahawani
office: ofisini
river: kando/ADV ya mto
hospital: hospitalini
"""

TIMES = """
yesterday: jana
last_week: wiki iliyopita/VERB
monday: Jumatatu/PROPN
saturday: Jumamosi/PROPN
two_days_ago: siku mbili zilizopita/VERB
evening: jioni
morning: leo/ADV asubuhi
summer: majira ya joto yaliyopita/VERB
"""

PAIRS = """
rain: Mvua ilinyesha usiku kucha. | Barabara zilikuwa na maji asubuhi.
alarm: Saa ya kengele haikulia. | Anna alichelewa kuamka.
ice: Omari aliteleza kwenye barafu. | Omari alivunjika mkono.
battery: Betri ya simu iliisha. | Maria hakuweza kumpigia mtu yeyote simu.
oven: Keki ilikaa kwenye oveni kwa muda mrefu mno. | Keki iliungua.
salt: Supu ilikuwa na chumvi nyingi mno. | Hakuna aliyetaka kunywa supu.
baby: Mtoto mchanga alikuwa na njaa. | Mtoto mchanga alianza kulia.
fuel: Gari liliishiwa na petroli. | Dereva alilazimika kutembea hadi kituo cha mafuta.
snow: Theluji nyingi ilianguka usiku. | Watoto walijenga sanamu ya theluji.
key: Mwanamke alipoteza ufunguo wake. | Mwanamke hakuweza kuingia nyumbani kwake.
ball: Mvulana alipiga mpira kwenye dirisha. | Kioo kilivunjika.
sun: Msichana alilala kwenye jua kwa saa nyingi. | Ngozi yake ikawa nyekundu.
exam: Mwanafunzi alijiandaa vizuri kwa mtihani. | Mwanafunzi alipata alama ya juu zaidi.
tooth: Petro alikuwa na maumivu makali ya jino. | Petro alienda kwa daktari wa meno.
dog: Mgeni alikuja langoni. | Mbwa alibweka kwa sauti kubwa.
cage: Mlango wa kizimba ulikuwa wazi. | Ndege aliruka akaenda zake.
plants: Hakuna aliyemwagilia mimea maji. | Maua yalikauka.
power: Umeme ulikatika jioni. | Familia iliwasha mishumaa.
bus: Sara alikosa basi. | Sara alifika kazini amechelewa.
thief: Mwizi aliiba baiskeli. | Mwenye baiskeli aliwaita polisi.
birthday: Ilikuwa siku ya kuzaliwa ya bibi. | Wajukuu walileta zawadi.
dark: Kulikuwa na giza mno, haikuwezekana kusoma. | Daudi aliwasha taa.
cold: Hewa baridi iliingia chumbani. | Leila alifunga dirisha.
fire: Nyumba ilikuwa inaungua. | Wazima moto walifika haraka.
joke: Mwalimu alisimulia kichekesho kizuri. | Wanafunzi walicheka.
feet: Miguu ya mvulana ilikuwa imekua. | Mvulana alihitaji viatu vikubwa zaidi.
tired: Mfanyakazi alikuwa amefanya kazi kwa saa kumi na mbili. | Mfanyakazi alilala usingizi kwenye kochi.
computer: Kompyuta iliharibika ghafla. | Mwandishi alipoteza maandishi yote.
prices: Duka lilipunguza bei zake. | Wateja wengi walikuja.
suitcase: Sanduku la safari lilikuwa zito sana. | Msafiri aliomba msaada.
milk: Maziwa yalikaa kwenye joto siku nzima. | Maziwa yalichacha.
bee: Nyuki alimuuma mtoto. | Mkono wa mtoto ulivimba.
wind: Upepo mkali ulikuwa unavuma. | Kofia ya mwanamume ilipeperushwa.
ducks: Msichana alitupa mkate kwenye bwawa. | Bata waliogelea karibu zaidi.
bridge: Kulikuwa na ajali kwenye daraja. | Magari yalisimama katika foleni ndefu.
glasses: Mzee alisahau miwani yake. | Mzee hakuweza kusoma menyu.
noise: Majirani walisherehekea kwa kelele usiku kucha. | Hakuna mtu katika jengo aliyeweza kulala.
goal: Timu yetu ilifunga bao katika dakika ya mwisho. | Mashabiki walishangilia.
pipe: Bomba la maji lilipasuka bafuni. | Wapangaji walimwita fundi bomba.
pocket: Kulikuwa na tundu mfukoni. | Sarafu zilianguka nje.
ticket: Abiria hakuwa na tiketi. | Abiria alilipa faini.
drought: Mvua haikunyesha kwa miezi mingi. | Mavuno ya mkulima yalikuwa mabaya.
rent: Kodi ya nyumba ilikuwa ghali mno. | Wanandoa walihamia nyumba nyingine.
lie: Mvulana alimdanganya rafiki yake. | Rafiki hakumwamini mvulana tena.
lottery: Kijana alishinda bahati nasibu. | Kijana alitajirika kwa usiku mmoja.
knife: Mpishi alijikata kidole. | Mpishi aliweka plasta kwenye jeraha.
onions: Babu alikatakata vitunguu. | Macho ya babu yalijaa machozi.
japan: Maria alitaka kufanya kazi nchini Japani. | Maria alijifunza Kijapani.
film: Filamu ilikuwa ya kuhuzunisha sana. | Watazamaji wengi walilia.
internet: Hakukuwa na mtandao wa intaneti. | Barua pepe haikuweza kutumwa.
coffee: Mgeni alikunywa vikombe vitatu vya kahawa jioni. | Mgeni alikaa macho hadi alfajiri.
flour: Mwokaji aliishiwa na unga. | Hakukuwa na mkate mpya siku hiyo.
wallet: Mwanamume aliacha pochi yake nyumbani. | Mwanamume hakuweza kulipa mgahawani.
bench: Benchi lilikuwa limepakwa rangi sasa hivi. | Bibi huyo alikuwa na doa kwenye koti lake.
singer: Mwimbaji alikuwa na maumivu ya koo. | Tamasha lilifutwa.
fog: Kulikuwa na ukungu mzito juu ya uwanja wa ndege. | Ndege iliondoka ikiwa imechelewa saa mbili.
balloon: Mtoto aliachia uzi. | Puto lilipaa angani.
mouse: Panya alimwona paka. | Panya alikimbilia shimoni mwake.
candle: Msichana alipuliza mshumaa. | Mwali wa moto ulizimika.
ice_cream: Aiskrimu ilikaa mezani kwa muda mrefu. | Aiskrimu iliyeyuka.
runner: Mkimbiaji alifanya mazoezi kila siku. | Mkimbiaji alishinda mbio.
address: Anwani kwenye bahasha haikuwa sahihi. | Barua ilirudi kwa mtumaji.
lost: Mtoto alipotea katika umati wa watu. | Wazazi walitafuta kila mahali.
cows: Mfugaji alisahau kufunga lango. | Ng'ombe walikimbilia barabarani.
"""


def clause(p: Parts) -> Segments:
    """Return a statement: Anna alinunua kitabu kipya sokoni jana."""
    done = p.event[1 if p.negative else 0] + p.event[2]
    body = [("who", p.subject[0]), ("what", done), ("where", p.place)]
    return [("when", p.time), *body] if p.front else [*body, ("when", p.time)]


def question(what: str, p: Parts) -> Phrase:
    """Return a question: Anna alinunua kitabu kipya wapi?"""
    if what == "who":
        return phrase("nani/PRON") + p.event[0] + p.event[2] + p.place + p.time + phrase("?")
    if what == "what":
        return p.subject[0] + phrase("alifanya/VERB nini/PRON") + p.place + p.time + phrase("?")
    return p.subject[0] + p.event[0] + p.event[2] + phrase("wapi/ADV ?" if what == "where" else "lini/ADV ?")


LEXICON = Lexicon(
    code="sw",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("Sababu ilikuwa nini?", "Nini kilitokea baadaye?"),
    clause=clause,
    question=question,
    but=", lakini/CCONJ",
)
