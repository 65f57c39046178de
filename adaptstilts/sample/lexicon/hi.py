"""Hindi: subject, time, place, object, verb. Events: object = verb, and more fields if ``ने`` is not used.

With ``ने`` the verb agrees with its object; without it (a third field says so), with the subject. A fourth field is the
verb in a negated sentence, if that differs.
"""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = (
    "ADP में पर के को से की का ने; DET मेरा मेरे मेरी हमारी एक इस; NUM दो तीन; PART नहीं; ADV कल;"
    " PRON कौन किसने क्या; PROPN अन्ना उमर मारिया पीटर लैला डेविड सारा इवान"
)

PEOPLE = """
anna: अन्ना = अन्ना
omar: उमर = उमर
maria: मारिया = मारिया
peter: पीटर = पीटर
leila: लैला = लैला
david: डेविड = डेविड
sara: सारा = सारा
ivan: इवान = इवान
teacher: अध्यापिका = अध्यापिका
brother: मेरा भाई = मेरे भाई
sister: मेरी बहन = मेरी बहन
doctor: डॉक्टर = डॉक्टर
neighbour: हमारी पड़ोसन = हमारी पड़ोसन
boy: लड़का = लड़के
"""

EVENTS = """
buy_book: एक नई/ADJ किताब = ख़रीदी/VERB
eat_apple: एक लाल/ADJ सेब = खाया/VERB
drink_tea: गरम/ADJ चाय = पी/VERB
write_letter: एक लंबी/ADJ चिट्ठी = लिखी/VERB
read_newspaper: अख़बार = पढ़ा/VERB
wash_dishes: बर्तन = धोए/VERB
cook_soup: सब्ज़ियों का सूप = बनाया/VERB
play_football: फ़ुटबॉल = खेला/VERB
play_guitar: गिटार = बजाया/VERB
sing_song: एक पुराना/ADJ गाना = गाया/VERB
lose_keys: चाबियाँ = खोईं/VERB
find_wallet: एक काला/ADJ बटुआ = पाया/VERB
sell_bicycle: एक पुरानी/ADJ साइकिल = बेची/VERB
repair_chair: एक टूटी/ADJ कुर्सी ठीक/ADJ = की/VERB
open_window: खिड़की = खोली/VERB
close_door: दरवाज़ा बंद/ADJ = किया/VERB
call_friend: एक पुराने/ADJ दोस्त को फ़ोन = किया/VERB
meet_friends: दो दोस्तों से मुलाक़ात = की/VERB
buy_bread: ताज़ी/ADJ रोटी = ख़रीदी/VERB
take_photos: बहुत/ADV सारी/ADJ तस्वीरें = खींचीं/VERB
draw_tree: एक बड़ा/ADJ पेड़ = बनाया/VERB
plant_flowers: सफ़ेद/ADJ फूल = लगाए/VERB
catch_fish: एक बड़ी/ADJ मछली = पकड़ी/VERB
sleep: दो घंटे = सोया|सोई/VERB = direct/X
learn_poem: एक छोटी/ADJ कविता = सीखी/VERB
tell_story: एक मज़ेदार/ADJ कहानी = सुनाई/VERB
help_man: एक बूढ़े/ADJ आदमी की मदद = की/VERB
break_cup: एक नीला/ADJ प्याला = तोड़ा/VERB
clean_floor: फ़र्श साफ़/ADJ = किया/VERB
feed_cat: काली/ADJ बिल्ली को खाना = खिलाया/VERB
count_money: पैसे = गिने/VERB
watch_film: एक दिलचस्प/ADJ फ़िल्म = देखी/VERB
hear_music: संगीत = सुना/VERB
forget_umbrella: छाता = भूल/VERB गया|गई/AUX = direct/X = भूला|भूली/VERB
carry_boxes: तीन भारी/ADJ डिब्बे = उठाए/VERB
paint_wall: दीवार = रंगी/VERB
cut_lemon: एक पीला/ADJ नींबू = काटा/VERB
drink_water: ठंडा/ADJ पानी = पिया/VERB
ask_question: एक कठिन/ADJ सवाल = पूछा/VERB
pay_bill: बिल = चुकाया/VERB
"""

PLACES = """
market: बाज़ार में
park: पार्क में
school: स्कूल में
home: घर पर
kitchen: रसोई में
station: स्टेशन पर
library: पुस्तकालय में
garden: बग़ीचे में
cafe: कैफ़े में
office: दफ़्तर में
river: नदी के किनारे
hospital: अस्पताल में
"""

TIMES = """
yesterday: कल
last_week: पिछले/ADJ हफ़्ते
monday: सोमवार को
saturday: शनिवार को
two_days_ago: दो दिन पहले/ADV
evening: शाम को
morning: आज/ADV सुबह
summer: पिछली/ADJ गर्मियों में
"""

PAIRS = """
rain: सारी रात बारिश हुई। | सुबह सड़कें गीली थीं।
alarm: अलार्म घड़ी नहीं बजी। | अन्ना देर तक सोती रह गई।
ice: उमर बर्फ़ पर फिसल गया। | उमर की बाँह टूट गई।
battery: फ़ोन की बैटरी ख़त्म हो गई थी। | मारिया किसी को फ़ोन नहीं कर सकी।
oven: केक बहुत देर तक ओवन में रहा। | केक जल गया।
salt: सूप में नमक बहुत ज़्यादा था। | कोई भी सूप पीना नहीं चाहता था।
baby: शिशु भूखा था। | शिशु रोने लगा।
fuel: गाड़ी का पेट्रोल ख़त्म हो गया। | ड्राइवर को पेट्रोल पंप तक पैदल जाना पड़ा।
snow: रात में बहुत बर्फ़ गिरी। | बच्चों ने बर्फ़ का पुतला बनाया।
key: औरत की चाबी खो गई। | औरत अपने फ़्लैट में नहीं जा सकी।
ball: लड़के ने गेंद खिड़की पर मारी। | शीशा टूट गया।
sun: लड़की घंटों धूप में लेटी रही। | उसकी त्वचा लाल हो गई।
exam: छात्र ने परीक्षा की अच्छी तैयारी की। | छात्र को सबसे अच्छे अंक मिले।
tooth: पीटर के दाँत में तेज़ दर्द था। | पीटर दाँतों के डॉक्टर के पास गया।
dog: एक अजनबी फाटक पर आया। | कुत्ता ज़ोर से भौंका।
cage: पिंजरे का दरवाज़ा खुला था। | चिड़िया उड़ गई।
plants: किसी ने पौधों को पानी नहीं दिया। | फूल सूख गए।
power: शाम को बिजली चली गई। | परिवार ने मोमबत्तियाँ जलाईं।
bus: सारा की बस छूट गई। | सारा काम पर देर से पहुँची।
thief: एक चोर ने साइकिल चुरा ली। | मालिक ने पुलिस को बुलाया।
birthday: दादी का जन्मदिन था। | पोते-पोतियाँ उपहार लाए।
dark: पढ़ने के लिए बहुत अँधेरा था। | डेविड ने बत्ती जलाई।
cold: कमरे में ठंडी हवा आ रही थी। | लैला ने खिड़की बंद की।
fire: घर में आग लगी थी। | दमकलकर्मी जल्दी आ गए।
joke: अध्यापिका ने एक अच्छा चुटकुला सुनाया। | विद्यार्थी हँस पड़े।
feet: लड़के के पैर बड़े हो गए थे। | लड़के को बड़े जूतों की ज़रूरत थी।
tired: मज़दूर ने बारह घंटे काम किया था। | मज़दूर सोफ़े पर सो गया।
computer: कंप्यूटर अचानक ख़राब हो गया। | लेखिका का पूरा लेख खो गया।
prices: दुकान ने दाम घटा दिए। | बहुत सारे ग्राहक आए।
suitcase: सूटकेस बहुत भारी था। | यात्री ने मदद माँगी।
milk: दूध सारा दिन गर्मी में रखा रहा। | दूध खट्टा हो गया।
bee: एक मधुमक्खी ने बच्चे को डंक मारा। | बच्चे का हाथ सूज गया।
wind: तेज़ हवा चल रही थी। | आदमी की टोपी उड़ गई।
ducks: लड़की ने तालाब में रोटी फेंकी। | बत्तखें तैरकर पास आईं।
bridge: पुल पर एक दुर्घटना हुई। | गाड़ियाँ लंबी क़तार में खड़ी रहीं।
glasses: बूढ़ा आदमी अपना चश्मा भूल गया। | बूढ़ा आदमी मेन्यू नहीं पढ़ सका।
noise: पड़ोसियों ने सारी रात शोर मचाकर जश्न मनाया। | इमारत में कोई नहीं सो सका।
goal: हमारी टीम ने आख़िरी मिनट में गोल किया। | प्रशंसक ख़ुशी से चिल्लाए।
pipe: स्नानघर में पानी का पाइप फट गया। | किराएदारों ने नलसाज़ को बुलाया।
pocket: जेब में छेद था। | सिक्के बाहर गिर गए।
ticket: यात्री के पास टिकट नहीं था। | यात्री ने जुर्माना भरा।
drought: महीनों तक बारिश नहीं हुई। | किसान की फ़सल ख़राब हुई।
rent: किराया बहुत महँगा हो गया। | दंपति दूसरे फ़्लैट में रहने चले गए।
lie: लड़के ने अपने दोस्त से झूठ बोला। | दोस्त को लड़के पर अब भरोसा नहीं रहा।
lottery: युवक ने लॉटरी जीती। | युवक रातोंरात अमीर बन गया।
knife: रसोइए की उँगली कट गई। | रसोइए ने घाव पर पट्टी लगाई।
onions: दादाजी ने प्याज़ काटे। | दादाजी की आँखों में आँसू भर आए।
japan: मारिया जापान में काम करना चाहती थी। | मारिया ने जापानी भाषा सीखी।
film: फ़िल्म बहुत दुखद थी। | बहुत से दर्शक रो पड़े।
internet: इंटरनेट कनेक्शन नहीं था। | ईमेल नहीं भेजा जा सका।
coffee: मेहमान ने शाम को तीन प्याले कॉफ़ी पी। | मेहमान सवेरा होने तक जागता रहा।
flour: बेकर के पास आटा नहीं बचा था। | उस दिन ताज़ी रोटी नहीं थी।
wallet: आदमी अपना बटुआ घर पर छोड़ आया। | आदमी रेस्तराँ में पैसे नहीं दे सका।
bench: बेंच पर अभी-अभी रंग किया गया था। | महिला के कोट पर एक दाग़ था।
singer: गायिका के गले में दर्द था। | संगीत कार्यक्रम रद्द कर दिया गया।
fog: हवाई अड्डे पर घना कोहरा था। | विमान ने दो घंटे देर से उड़ान भरी।
balloon: बच्चे ने डोरी छोड़ दी। | ग़ुब्बारा आसमान में उड़ गया।
mouse: चूहे ने बिल्ली को देखा। | चूहा अपने बिल में भाग गया।
candle: लड़की ने मोमबत्ती पर फूँक मारी। | लौ बुझ गई।
ice_cream: आइसक्रीम बहुत देर तक मेज़ पर रखी रही। | आइसक्रीम पिघल गई।
runner: धावक ने हर दिन अभ्यास किया। | धावक ने दौड़ जीत ली।
address: लिफ़ाफ़े पर पता ग़लत था। | चिट्ठी भेजने वाले के पास लौट आई।
lost: बच्चा भीड़ में खो गया। | माता-पिता ने हर जगह ढूँढ़ा।
cows: किसान फाटक बंद करना भूल गया। | गायें सड़क पर आ गईं।
"""


def _subject(p: Parts) -> Segments:
    """Return the subject in the direct form, or in the oblique one with ``ने``."""
    if len(p.event) > 2:
        return [("who", p.subject[0])]
    return [("who", p.subject[1]), ("", phrase("ने/ADP"))]


def clause(p: Parts) -> Segments:
    """Return a statement, such as अन्ना ने कल बाज़ार में एक नई किताब ख़रीदी।."""
    verb = phrase("नहीं/PART") + p.event[3 if len(p.event) > 3 else 1] if p.negative else p.event[1]
    when, rest = ("when", p.time), [("where", p.place), ("what", p.event[0] + verb)]
    return [when, *_subject(p), *rest] if p.front else [*_subject(p), when, *rest]


def question(what: str, p: Parts) -> Phrase:
    """Return a question: अन्ना ने कहाँ एक नई किताब ख़रीदी?"""
    end = phrase("?")
    if what == "who":
        asked = phrase("कौन/PRON" if len(p.event) > 2 else "किसने/PRON")
        return asked + p.time + p.place + p.event[0] + p.event[1] + end
    if what == "what":
        return p.subject[1] + phrase("ने/ADP") + p.time + p.place + phrase("क्या/PRON किया/VERB ?")
    subject = tuple(word for _, words in _subject(p) for word in words)
    return subject + phrase("कहाँ/ADV" if what == "where" else "कब/ADV") + p.event[0] + p.event[1] + end


LEXICON = Lexicon(
    code="hi",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("कारण क्या था?", "इसका नतीजा क्या हुआ?"),
    clause=clause,
    question=question,
    but=", लेकिन/CCONJ",
    stop="।",
)
