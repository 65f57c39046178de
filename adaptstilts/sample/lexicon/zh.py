"""Chinese: subject, time, place, verb, object, without blanks. Events: affirmed = what follows the negation."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = (
    "ADP 在; AUX 了; PART 的; PRON 我 我们 谁 什么 哪里; NUM 一 两 三; ADV 没; DET 那 这;"
    " PROPN 安娜 奥马尔 玛丽亚 彼得 莱拉 大卫 萨拉 伊万"
)

PEOPLE = """
anna: 安娜
omar: 奥马尔
maria: 玛丽亚
peter: 彼得
leila: 莱拉
david: 大卫
sara: 萨拉
ivan: 伊万
teacher: 老师
brother: 我 哥哥
sister: 我 姐姐
doctor: 医生
neighbour: 我们 的 邻居
boy: 男孩
"""

EVENTS = """
buy_book: 买/VERB 了 一 本 新/ADJ 书 = 买/VERB 新/ADJ 书
eat_apple: 吃/VERB 了 一 个 红/ADJ 苹果 = 吃/VERB 红/ADJ 苹果
drink_tea: 喝/VERB 了 热/ADJ 茶 = 喝/VERB 热/ADJ 茶
write_letter: 写/VERB 了 一 封 长/ADJ 信 = 写/VERB 长/ADJ 信
read_newspaper: 看/VERB 了 报纸 = 看/VERB 报纸
wash_dishes: 洗/VERB 了 碗 = 洗/VERB 碗
cook_soup: 煮/VERB 了 蔬菜 汤 = 煮/VERB 蔬菜 汤
play_football: 踢/VERB 了 足球 = 踢/VERB 足球
play_guitar: 弹/VERB 了 吉他 = 弹/VERB 吉他
sing_song: 唱/VERB 了 一 首 老/ADJ 歌 = 唱/VERB 老/ADJ 歌
lose_keys: 弄丢/VERB 了 钥匙 = 弄丢/VERB 钥匙
find_wallet: 捡到/VERB 了 一 个 黑色 的 钱包 = 捡到/VERB 黑色 的 钱包
sell_bicycle: 卖掉/VERB 了 一 辆 旧/ADJ 自行车 = 卖掉/VERB 旧/ADJ 自行车
repair_chair: 修好/VERB 了 一 把 坏/ADJ 椅子 = 修好/VERB 坏/ADJ 椅子
open_window: 打开/VERB 了 窗户 = 打开/VERB 窗户
close_door: 关上/VERB 了 门 = 关上/VERB 门
call_friend: 给/ADP 一 个 老/ADJ 朋友 打/VERB 了 电话 = 给/ADP 老/ADJ 朋友 打/VERB 电话
meet_friends: 见/VERB 了 两 个 朋友 = 见/VERB 两 个 朋友
buy_bread: 买/VERB 了 新鲜/ADJ 的 面包 = 买/VERB 新鲜/ADJ 的 面包
take_photos: 拍/VERB 了 很/ADV 多/ADJ 照片 = 拍/VERB 很/ADV 多/ADJ 照片
draw_tree: 画/VERB 了 一 棵 大/ADJ 树 = 画/VERB 大/ADJ 树
plant_flowers: 种/VERB 了 白色 的 花 = 种/VERB 白色 的 花
catch_fish: 钓到/VERB 了 一 条 大/ADJ 鱼 = 钓到/VERB 大/ADJ 鱼
sleep: 睡/VERB 了 两 个 小时 = 睡/VERB 两 个 小时
learn_poem: 学/VERB 了 一 首 短/ADJ 诗 = 学/VERB 短/ADJ 诗
tell_story: 讲/VERB 了 一 个 有趣/ADJ 的 故事 = 讲/VERB 有趣/ADJ 的 故事
help_man: 帮助/VERB 了 一 位 老人 = 帮助/VERB 老人
break_cup: 打碎/VERB 了 一 个 蓝色 的 杯子 = 打碎/VERB 蓝色 的 杯子
clean_floor: 擦/VERB 了 地板 = 擦/VERB 地板
feed_cat: 喂/VERB 了 黑/ADJ 猫 = 喂/VERB 黑/ADJ 猫
count_money: 数/VERB 了 钱 = 数/VERB 钱
watch_film: 看/VERB 了 一 部 有意思/ADJ 的 电影 = 看/VERB 有意思/ADJ 的 电影
hear_music: 听/VERB 了 音乐 = 听/VERB 音乐
forget_umbrella: 忘/VERB 了 拿/VERB 雨伞 = 忘/VERB 拿/VERB 雨伞
carry_boxes: 搬/VERB 了 三 个 重/ADJ 箱子 = 搬/VERB 三 个 重/ADJ 箱子
paint_wall: 刷/VERB 了 墙 = 刷/VERB 墙
cut_lemon: 切/VERB 了 一 个 黄色 的 柠檬 = 切/VERB 黄色 的 柠檬
drink_water: 喝/VERB 了 冷水 = 喝/VERB 冷水
ask_question: 问/VERB 了 一 个 难/ADJ 题 = 问/VERB 难/ADJ 题
pay_bill: 付/VERB 了 账单 = 付/VERB 账单
"""

PLACES = """
market: 在 市场
park: 在 公园
school: 在 学校
home: 在 家
kitchen: 在 厨房
station: 在 车站
library: 在 图书馆
garden: 在 花园
cafe: 在 咖啡馆
office: 在 办公室
river: 在 河边
hospital: 在 医院
"""

TIMES = """
yesterday: 昨天
last_week: 上周
monday: 星期一
saturday: 星期六
two_days_ago: 两 天 前/ADP
evening: 晚上
morning: 今天 早上
summer: 去年 夏天
"""

PAIRS = """
rain: 雨下了整整一夜。 | 早上街道是湿的。
alarm: 闹钟没响。 | 安娜睡过头了。
ice: 奥马尔在冰上滑倒了。 | 奥马尔摔断了胳膊。
battery: 手机没电了。 | 玛丽亚没法给任何人打电话。
oven: 蛋糕在烤箱里放得太久了。 | 蛋糕烤焦了。
salt: 汤里的盐太多了。 | 没有人想喝那碗汤。
baby: 宝宝饿了。 | 宝宝开始哭。
fuel: 汽车没油了。 | 司机只好走路去加油站。
snow: 夜里下了很多雪。 | 孩子们堆了一个雪人。
key: 那个女人丢了钥匙。 | 那个女人进不了自己的公寓。
ball: 男孩把球踢到了窗户上。 | 玻璃碎了。
sun: 女孩在太阳下躺了好几个小时。 | 她的皮肤变红了。
exam: 学生为考试做了充分的准备。 | 学生得了最高分。
tooth: 彼得牙疼得厉害。 | 彼得去看了牙医。
dog: 一个陌生人走到大门前。 | 狗大声叫了起来。
cage: 笼子的门开着。 | 鸟飞走了。
plants: 没有人给植物浇水。 | 花都干枯了。
power: 晚上停电了。 | 一家人点起了蜡烛。
bus: 萨拉没赶上公共汽车。 | 萨拉上班迟到了。
thief: 小偷偷走了自行车。 | 车主报了警。
birthday: 那天是奶奶的生日。 | 孙子孙女们带来了礼物。
dark: 光线太暗，没法看书。 | 大卫打开了灯。
cold: 冷空气进了房间。 | 莱拉关上了窗户。
fire: 房子着火了。 | 消防员很快就赶到了。
joke: 老师讲了一个好笑话。 | 学生们都笑了。
feet: 男孩的脚长大了。 | 男孩需要更大的鞋子。
tired: 工人工作了十二个小时。 | 工人在沙发上睡着了。
computer: 电脑突然坏了。 | 作者丢失了全部文稿。
prices: 商店降价了。 | 来了很多顾客。
suitcase: 手提箱非常重。 | 旅客请人帮忙。
milk: 牛奶在高温下放了一整天。 | 牛奶变酸了。
bee: 一只蜜蜂蜇了孩子。 | 孩子的手肿了。
wind: 刮着大风。 | 那个男人的帽子被吹走了。
ducks: 女孩把面包扔进池塘里。 | 鸭子游了过来。
bridge: 桥上发生了车祸。 | 汽车排起了长队。
glasses: 老人忘了带眼镜。 | 老人看不清菜单。
noise: 邻居们吵吵闹闹地庆祝了一整夜。 | 楼里没有人能睡着。
goal: 我们队在最后一分钟进了一个球。 | 球迷们欢呼起来。
pipe: 浴室的水管爆裂了。 | 租客们叫来了水管工。
pocket: 口袋里有一个洞。 | 硬币掉出来了。
ticket: 那名乘客没有车票。 | 那名乘客交了罚款。
drought: 好几个月没有下雨。 | 农民的收成很差。
rent: 房租变得太贵了。 | 那对夫妻搬进了另一套公寓。
lie: 男孩对朋友撒了谎。 | 朋友不再相信那个男孩。
lottery: 那个年轻人中了彩票。 | 那个年轻人一夜之间变得富有。
knife: 厨师切到了手指。 | 厨师在伤口上贴了创可贴。
onions: 爷爷切了洋葱。 | 爷爷的眼里充满了泪水。
japan: 玛丽亚想去日本工作。 | 玛丽亚学了日语。
film: 电影非常悲伤。 | 很多观众流下了眼泪。
internet: 没有网络连接。 | 电子邮件发不出去。
coffee: 客人晚上喝了三杯咖啡。 | 客人一直醒到天亮。
flour: 面包师的面粉用完了。 | 那天没有新鲜的面包。
wallet: 那个男人把钱包忘在家里了。 | 那个男人没法在餐馆付钱。
bench: 长椅刚刚刷过漆。 | 那位女士的大衣上有一块污渍。
singer: 女歌手嗓子疼。 | 音乐会取消了。
fog: 机场上空有浓雾。 | 飞机晚了两个小时起飞。
balloon: 孩子松开了绳子。 | 气球升上了天空。
mouse: 老鼠看见了猫。 | 老鼠跑进了自己的洞里。
candle: 女孩吹了蜡烛。 | 火焰熄灭了。
ice_cream: 冰淇淋在桌子上放了很久。 | 冰淇淋融化了。
runner: 跑步运动员每天训练。 | 跑步运动员赢得了比赛。
address: 信封上的地址写错了。 | 信被退回给了寄信人。
lost: 孩子在人群中走丢了。 | 父母到处寻找。
cows: 农夫忘了关大门。 | 奶牛跑到了公路上。
"""


def clause(p: Parts) -> Segments:
    """Return a statement: 安娜昨天在市场买了一本新书。 The negation comes before the place."""
    who, when, where = ("who", p.subject[0]), ("when", p.time), ("where", p.place)
    no = phrase("没/ADV") if p.negative else ()
    rest = [("", no), where, ("what", p.event[1 if p.negative else 0])]
    return [when, who, *rest] if p.front else [who, when, *rest]


def question(what: str, p: Parts) -> Phrase:
    """Return a question, such as 安娜在哪里买了一本新书？."""
    end = phrase("？")
    if what == "who":
        return p.time + phrase("谁/PRON") + p.place + p.event[0] + end
    if what == "what":
        return p.subject[0] + p.time + p.place + phrase("做/VERB 了/AUX 什么/PRON ？")
    asked = phrase("在/ADP 哪里/PRON" if what == "where" else "什么/DET 时候/NOUN")
    return p.subject[0] + asked + p.event[0] + end


LEXICON = Lexicon(
    code="zh",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("原因是什么？", "结果发生了什么？"),
    clause=clause,
    question=question,
    but="， 但是/CCONJ",
    stop="。",
    blank="",
)
